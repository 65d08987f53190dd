//! The private PostgreSQL of tests keeps what it was told, as a real one does.

use tagboat_testkit::Postgres;

#[test]
fn what_was_committed_is_there_after_a_power_cut_and_a_stop() {
    let mut postgres = Postgres::start();
    let url = postgres.make_database("one");
    assert!(url.ends_with(&format!("@127.0.0.1:{}/one", postgres.port())), "{url}");
    assert_eq!(postgres.query("one", "SHOW fsync"), "on");
    postgres.query("one", "CREATE TABLE seen (number integer)");
    for number in 1..=2 {
        postgres.query("one", &format!("INSERT INTO seen VALUES ({number})"));
        match number {
            1 => postgres.kill(),
            _ => postgres.stop(),
        }
        postgres.start_again();
    }
    assert_eq!(postgres.query("one", "SELECT number FROM seen ORDER BY number"), "1\n2");
    assert_eq!(postgres.query("postgres", "SELECT count(*) FROM pg_tables WHERE tablename = 'seen'"), "0");
}

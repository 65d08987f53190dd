//! `chaos BINARY KILLS SEED DATABASE`: kill the server so often, and say what is left of its promises.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it talks to the developer")]

use std::{path::PathBuf, process::ExitCode};

use tagboat_testkit::{
    Database, Postgres,
    chaos::{Setup, run},
};

/// Between two words about how far it is.
const TOLD: u32 = 100;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [binary, kills, seed, database] = arguments.as_slice() else { return usage() };
    let (Ok(kills), Ok(seed)) = (kills.parse::<u32>(), seed.parse::<u64>()) else { return usage() };
    let (database, _postgres) = match database.as_str() {
        "sqlite" => (Database::Sqlite, None),
        "postgres" => {
            let postgres = Postgres::start();
            (Database::Postgres { url: postgres.url() }, Some(postgres))
        }
        _ => return usage(),
    };
    println!("seed {seed}");
    let setup = Setup { binary: PathBuf::from(binary), database, kills, seed };
    let told = |number: u32| {
        if number.is_multiple_of(TOLD) {
            eprintln!("{number} kills");
        }
    };
    match run(&setup, told).await {
        Ok(report) => {
            println!("{report}no promise broken");
            ExitCode::SUCCESS
        }
        Err(broken) => {
            println!("{broken}");
            let database = &arguments[3];
            println!("run it again with: cargo xtask chaos --kills {kills} --seed {seed} --database {database}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: chaos BINARY KILLS SEED sqlite|postgres");
    ExitCode::from(2)
}

//! Floods, slow senders and bodies made to break parsers: memory stays bounded, and other receivers keep answering.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant, SystemTime},
};

use tagboat_intake::sign_standard_webhook;

use crate::world::{CI_SECRET, REGISTRY_SECRET, World, over_http};

/// Who waits behind slow senders waits until they are cut off, which is after ten seconds: this is well before.
const SLOW: Duration = Duration::from_secs(5);

/// The most memory that the server ever had, in MiB.
fn peak_memory(world: &World) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

/// A connection on which this was sent.
fn connection(world: &World, text: &str) -> TcpStream {
    let address = world.url("").trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

/// Headers as a stranger can write them: what is signed shows only with the body.
fn headers_of_a_stranger(length: &str) -> String {
    format!(
        "POST /hooks/ci HTTP/1.1\r\nhost: x\r\nwebhook-id: a\r\nwebhook-timestamp: {}\r\nwebhook-signature: v1,AAAA\r\n{length}\r\n\r\n",
        now()
    )
}

/// How long the registry's receiver takes for a request.
async fn answer_of_another(world: &World) -> Duration {
    let begin = Instant::now();
    let request = world.http.post(world.url("/hooks/registry")).header("authorization", REGISTRY_SECRET);
    let answer = request.body(r#"{"events":[]}"#).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    begin.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_slow_senders_hold_up_nobody_else_and_are_cut_off() {
    let world = over_http().await;
    world.wait_until_started().await;
    // Half of them never end their headers, half of them send a body byte by byte.
    let slow_headers: Vec<TcpStream> =
        (0..500).map(|_| connection(&world, "POST /hooks/registry HTTP/1.1\r\nhost: x\r\nx-a: ")).collect();
    let begin = format!("{}{{", headers_of_a_stranger("content-length: 15000"));
    let mut slow_bodies: Vec<TcpStream> = (0..500).map(|_| connection(&world, &begin)).collect();
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        for stream in &mut slow_bodies {
            let _ = stream.write_all(b" ");
        }
        slowest = slowest.max(answer_of_another(&world).await);
    }
    assert!(slowest < SLOW, "{slowest:?}");
    // The same receiver, too, still takes what is signed.
    assert_eq!(world.announce("good", &world.announcement("web", "1.5.0")).await.0, 202);
    tokio::time::sleep(Duration::from_secs(12)).await;
    for mut stream in slow_headers.into_iter().chain(slow_bodies) {
        let mut answer = Vec::new();
        // An error says as well that the connection is gone.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
    let memory = peak_memory(&world);
    assert!(memory <= 256, "{memory} MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_much_and_reads_nothing_is_cut_off() {
    let world = over_http().await;
    world.wait_until_started().await;
    let one = world.http.get(world.url("/api/v1/openapi.json")).send().await.unwrap().bytes().await.unwrap().len();
    let ask = "GET /api/v1/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(400);
    // What the machine buffers on both sides is less than the answers, so that the server waits for them to be taken.
    let mut streams: Vec<TcpStream> = (0..50).map(|_| connection(&world, &ask)).collect();
    streams.iter().for_each(|stream| stream.set_nonblocking(true).unwrap());
    // Who was cut off can send no more.
    let is_open = |mut stream: &TcpStream| match stream.write(b"\r\n") {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    };
    world.wait("all of them cut off", async |_| !streams.iter().any(is_open)).await;
    for stream in &mut streams {
        stream.set_nonblocking(false).unwrap();
        let mut taken = Vec::new();
        let _ = stream.read_to_end(&mut taken);
        assert!(taken.len() < 400 * one, "everything was answered, so that nothing had to wait");
    }
    assert!(answer_of_another(&world).await < SLOW);
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_tokens_take_no_room_from_those_who_sign() {
    let world = over_http().await;
    world.wait_until_started().await;
    let claims = serde_json::json!({ "aud": world.url(""), "repository": "acme/web" });
    let forged = world.issuer().token_signed_by_stranger(claims);
    let begin = format!(
        "POST /api/v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {forged}\r\ncontent-length: 16000\r\n\r\n{}",
        " ".repeat(15_000)
    );
    let mut streams: Vec<TcpStream> = (0..400).map(|_| connection(&world, &begin)).collect();
    let body = world.announcement("web", "1.5.0");
    assert_eq!(world.announce("good", &body).await.0, 202);
    for stream in &mut streams {
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 401");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gigabyte_is_not_read() {
    let world = over_http().await;
    world.wait_until_started().await;
    let before = peak_memory(&world);
    let mut stream = connection(&world, &headers_of_a_stranger("transfer-encoding: chunked"));
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
    let mut sent = 0;
    while sent < (1 << 30) && stream.write_all(chunk.as_bytes()).is_ok() {
        sent += 0x1_0000;
    }
    assert!(sent < (1 << 30), "all of it was taken");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer_of_another(&world).await < SLOW);
    let memory = peak_memory(&world);
    assert!(memory <= before + 32, "{before} -> {memory} MiB");
}

#[tokio::test]
async fn bodies_made_to_break_parsers_are_verdicts() {
    let world = over_http().await;
    world.wait_until_started().await;
    let signed = async |id: &str, body: String| {
        let seconds = i64::try_from(now()).unwrap();
        let signature = sign_standard_webhook(&CI_SECRET.to_owned().into(), id, seconds, body.as_bytes());
        let request = world.http.post(world.url("/hooks/ci")).header("webhook-id", id).body(body);
        let request = request.header("webhook-timestamp", seconds.to_string()).header("webhook-signature", signature);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for (index, body) in [
        "[".repeat(19_000),
        format!("{{\"image\":{}", "{\"a\":".repeat(3_900)),
        format!("{{\"later\":{}1{}}}", "[".repeat(9_000), "]".repeat(9_000)),
        "\u{0}".repeat(100),
        "{\"image\":\"\\ud800\",\"tag\":\"1\"}".to_owned(),
        format!("{{\"image\":{}}}", "9".repeat(10_000)),
    ]
    .into_iter()
    .enumerate()
    {
        let (status, answer) = signed(&format!("deep-{index}"), body).await;
        assert!(status == 200 && answer.contains("unparsable"), "{index}: {status} {answer}");
    }
    // Very many events in one notification: so many are taken, the rest is counted.
    let event = |number: usize| {
        format!(
            r#"{{"action":"push","target":{{"mediaType":"application/vnd.oci.image.index.v1+json","repository":"acme/x","tag":"{number}"}}}}"#
        )
    };
    let events: Vec<String> = (0..150).map(event).collect();
    let request = world.http.post(world.url("/hooks/registry")).header("authorization", REGISTRY_SECRET);
    let answer = request.body(format!(r#"{{"events":[{}]}}"#, events.join(","))).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    world.announce("good", &world.announcement("web", "1.5.0")).await;
    world.wait_for_event("web", "1.5.0", 1).await;
}

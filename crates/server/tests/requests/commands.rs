//! Commands: who may give them, what is taken, and how their answers are heard.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};
use tagboat_model::{BranchKey, CommandAnswer, CommandOutcome, Duration, Timestamp};
use tagboat_ports::{History as _, Store as _};
use tagboat_server::{Access, Server};

use crate::{get, send, server};

fn with_token() -> Access {
    Access::Token("t0ken".to_owned().into())
}

fn command(headers: &[(&str, &str)], body: &Value) -> Request<Body> {
    let mut request = Request::post("/api/v1/commands").header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_string())).unwrap()
}

fn hold() -> Value {
    json!({ "repository": "config", "command": { "verb": "hold", "environment": "prod", "entry": "web" }, "by": "Ann" })
}

async fn given(server: &Server, headers: &[(&str, &str)], body: &Value) -> (u16, Value) {
    let (status, body) = send(server, command(headers, body)).await;
    (status, serde_json::from_str(&body).unwrap())
}

const TOKEN: (&str, &str) = ("authorization", "Bearer t0ken");
const NONE: &[(&str, &str)] = &[];

#[tokio::test]
async fn only_whoever_has_the_token_commands() {
    let (closed, store) = server(with_token());
    for headers in [NONE, &[("authorization", "Bearer wrong")][..], &[("authorization", "t0ken")][..]] {
        let (status, told) = given(&closed, headers, &hold()).await;
        assert!(status == 401 && told["error"].as_str().unwrap().contains("token"), "{status} {told}");
    }
    let (config, tenant) = ("config".parse().unwrap(), "default".parse().unwrap());
    assert!(store.open_commands(&tenant, &config).await.unwrap().is_empty());
    let (status, told) = given(&closed, &[TOKEN], &hold()).await;
    assert_eq!(
        (status, &told["by"], &told["tenant"]),
        (202, &json!({ "operator": { "name": "Ann" } }), &json!("default"))
    );
    assert_eq!(store.open_commands(&tenant, &config).await.unwrap().len(), 1);
}

#[tokio::test]
async fn that_everybody_may_read_does_not_mean_that_they_may_command() {
    for access in [Access::Everybody, Access::Nobody] {
        let (open, _) = server(access);
        for headers in [NONE, &[TOKEN][..], &[("host", "localhost:8080")][..]] {
            let (status, told) = given(&open, headers, &hold()).await;
            assert!(status == 403 && told["error"].as_str().unwrap().contains("tokenFile"), "{status} {told}");
        }
    }
    let (local, _) = server(Access::Local);
    assert_eq!(send(&local, get("/api/v1/holds")).await.0, 200);
    for (headers, expected) in [
        (NONE, 202),
        (&[("host", "127.0.0.1:8080")][..], 202),
        (&[("host", "evil.example:8080")][..], 403),
        (&[("host", "localhost:8080"), ("origin", "https://evil.example")][..], 403),
    ] {
        let (status, told) = given(&local, headers, &hold()).await;
        assert_eq!(status, expected, "{headers:?} {told}");
    }
}

#[tokio::test]
async fn what_cannot_be_a_command_is_refused_with_the_reason() {
    let (server, _) = server(with_token());
    let hold_of = |key: &str, value: Value| {
        let mut body = hold();
        body[key] = value;
        body
    };
    for (body, expected, words) in [
        (hold_of("repository", json!("nothing")), 404, "default/config"),
        (hold_of("tenant", json!("stranger")), 404, "default/config"),
        (hold_of("by", json!("a\nb")), 400, "`by`"),
        (hold_of("command", json!({ "verb": "destroy" })), 400, "destroy"),
        (hold_of("command", json!({ "verb": "hold", "enviroment": "prod" })), 400, "enviroment"),
        (hold_of("wait", json!(7)), 400, "wait"),
        (json!([]), 400, ""),
    ] {
        let (status, told) = given(&server, &[TOKEN], &body).await;
        assert!(status == expected && told["error"].as_str().unwrap().contains(words), "{status} {told}");
    }
    let form = Request::post("/api/v1/commands").header(TOKEN.0, TOKEN.1).header("content-type", "text/plain");
    assert_eq!(send(&server, form.body(Body::from(hold().to_string())).unwrap()).await.0, 415);
    let large = hold_of("by", json!("x".repeat(20_000)));
    assert_eq!(send(&server, command(&[TOKEN], &large)).await.0, 413);
}

#[tokio::test]
async fn an_answer_is_heard_as_soon_as_it_is_there() {
    let (server, store) = server(Access::Local);
    let (_, told) = given(&server, &[], &hold()).await;
    let id = told["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("c-"), "{id}");
    let path = format!("/api/v1/commands/{id}");
    let open: Value = serde_json::from_str(&send(&server, get(&path)).await.1).unwrap();
    assert_eq!((&open["answer"], &open["command"]["verb"]), (&Value::Null, &json!("hold")));
    let answer = CommandAnswer { outcome: CommandOutcome::Done, text: "held".to_owned() };
    let answering = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        let tenant = "default".parse().unwrap();
        store.answer_command(&tenant, &id.parse().unwrap(), &answer, Timestamp(9)).await.unwrap();
    };
    let waiting = format!("{path}?wait=20");
    let (heard, ()) = tokio::join!(send(&server, get(&waiting)), answering);
    let heard: Value = serde_json::from_str(&heard.1).unwrap();
    assert_eq!(heard["answer"], json!({ "outcome": "done", "text": "held" }));
    for unknown in ["/api/v1/commands/c-nothing", "/api/v1/commands/%20"] {
        assert_eq!(send(&server, get(unknown)).await.0, 404, "{unknown}");
    }
}

#[tokio::test]
async fn holds_and_environments_are_told() {
    let (server, store) = server(Access::Local);
    let hold = tagboat_model::Hold {
        id: "h-1".parse().unwrap(),
        environment: Some("prod".parse().unwrap()),
        entry: None,
        wish: tagboat_model::Wish::Freeze,
        by: tagboat_model::Person::operator("Ann"),
        why: Some("inventory".to_owned()),
        since: Timestamp(0),
        until: tagboat_model::Until::Released,
    };
    let settle = tagboat_ports::Settle { quiet: Duration::ZERO, at_most: Duration::ZERO };
    let main = "main".parse().unwrap();
    let main = BranchKey { tenant: "default".parse().unwrap(), repository: "config".parse().unwrap(), branch: main };
    store.know_branches(&[main], Timestamp(0)).await.unwrap();
    let work = store.lease("worker", settle, Duration::from_seconds(1), Timestamp(0)).await.unwrap().unwrap();
    assert!(store.place_holds(&work, &[hold], Timestamp(0)).await.unwrap());
    let holds: Value = serde_json::from_str(&send(&server, get("/api/v1/holds")).await.1).unwrap();
    let words = "all of prod is frozen by operator Ann since 1970-01-01T00:00:00Z: inventory";
    assert_eq!((&holds["holds"][0]["repository"], &holds["holds"][0]["words"]), (&json!("config"), &json!(words)));
    for (path, status) in [
        ("/api/v1/environments", 200),
        ("/api/v1/environments?repository=config", 200),
        ("/api/v1/environments?repository=nothing", 404),
        ("/api/v1/environments?nonsense=1", 400),
    ] {
        assert_eq!(send(&server, get(path)).await.0, status, "{path}");
    }
    let page = send(&server, get("/")).await.1;
    assert!(page.contains("all of prod is frozen by operator Ann"), "{page}");
}

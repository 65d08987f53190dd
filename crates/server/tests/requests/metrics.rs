//! What Prometheus reads: that it adds up, and that the dashboard and the alerts ask for nothing else.

use tagboat_model::Timestamp;
use tagboat_ports::{Finish, Store as _};
use tagboat_server::Access;

use crate::{ANNOUNCED, from_ci, from_registry, get, interested_branch, send, server};

async fn scrape(server: &tagboat_server::Server) -> String {
    let (status, text) = send(server, get("/metrics")).await;
    assert_eq!(status, 200, "{text}");
    text
}

/// The value of a sample, by its name and labels.
fn value(text: &str, sample: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{sample} is missing:\n{text}")).parse().unwrap()
}

fn states(text: &str) -> [f64; 4] {
    let of = |state: &str| value(text, &format!("tagboat_events{{state=\"{state}\"}}"));
    let [done, refused, pending] = ["done", "refused", "pending"].map(of);
    let accepted = value(text, "tagboat_events_accepted");
    assert!((accepted - (done + refused + pending)).abs() < f64::EPSILON, "{text}");
    [accepted, done, refused, pending]
}

#[tokio::test]
async fn events_add_up_and_deliveries_are_counted_by_what_became_of_them() {
    let (server, store) = server(Access::Everybody);
    let work = interested_branch(&store).await;
    let other = ANNOUNCED.replace("acme/web", "acme/unwanted");
    for (id, secret, body) in
        [("a", "s3cret", ANNOUNCED), ("a", "s3cret", ANNOUNCED), ("b", "s3cret", &other), ("c", "wrong", ANNOUNCED)]
    {
        send(&server, from_ci(id, secret, body)).await;
    }
    send(&server, from_registry("Bearer t", "{")).await;
    let text = scrape(&server).await;
    assert_eq!(states(&text), [2.0, 0.0, 1.0, 1.0]);
    for (sample, expect) in [
        (r#"tagboat_deliveries_total{receiver="ci",verdict="accepted",status="202"}"#, 2.0),
        (r#"tagboat_deliveries_total{receiver="ci",verdict="duplicate",status="202"}"#, 1.0),
        (r#"tagboat_deliveries_total{receiver="ci",verdict="refused",status="401"}"#, 1.0),
        (r#"tagboat_deliveries_total{receiver="registry",verdict="unparsable",status="200"}"#, 1.0),
        (r#"tagboat_delivery_seconds_count{verdict="accepted"}"#, 2.0),
        (r#"tagboat_queue_branches{state="waiting"}"#, 1.0),
        ("tagboat_leases_held", 0.0),
    ] {
        assert!((value(&text, sample) - expect).abs() < f64::EPSILON, "{sample}: {text}");
    }
    let served = Finish::Served { head: None, swept: true, problem: None, wake_at: None };
    let later = Timestamp(i64::MAX / 2);
    let settle = tagboat_ports::Settle { quiet: tagboat_model::Duration::ZERO, at_most: tagboat_model::Duration::ZERO };
    store.finish(&work, served.clone(), later).await.unwrap();
    let work = store.lease("w", settle, tagboat_model::Duration::from_seconds(1), later).await.unwrap().unwrap();
    store.finish(&work, served, later).await.unwrap();
    // The clock stands still here, so that a server of its own counts anew.
    let server = tagboat_server::Server { pressure: std::sync::Arc::new(tagboat_server::Pressure::new(1)), ..server };
    assert_eq!(states(&scrape(&server).await), [2.0, 1.0, 1.0, 0.0]);
}

#[tokio::test]
async fn what_strangers_choose_is_no_label() {
    let (server, _) = server(Access::Everybody);
    for name in ["nobody", "somebody"] {
        let request = axum::http::Request::post(format!("/hooks/{name}")).body(axum::body::Body::empty()).unwrap();
        send(&server, request).await;
    }
    let text = scrape(&server).await;
    assert!(
        (value(&text, r#"tagboat_deliveries_total{receiver="(unknown)",verdict="refused",status="401"}"#) - 2.0).abs()
            < 0.1
    );
    assert!(!text.contains("nobody") && !text.contains("acme"), "{text}");
}

#[tokio::test]
async fn metrics_are_for_who_may_read() {
    let (closed, _) = server(Access::Token("t0ken".to_owned().into()));
    assert_eq!(send(&closed, get("/metrics")).await.0, 401);
    let (off, _) = server(Access::Nobody);
    assert_eq!(send(&off, get("/metrics")).await.0, 403);
}

/// Names of metrics in a query.
fn names(query: &str) -> Vec<String> {
    let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("tagboat_") || word.starts_with("process_")).map(str::to_owned).collect()
}

/// Every value of this key, at any depth.
fn values_of<'v>(json: &'v serde_json::Value, key: &str, found: &mut Vec<&'v str>) {
    match json {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                if let Some(text) = value.as_str().filter(|_| name == key) {
                    found.push(text);
                }
                values_of(value, key, found);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| values_of(item, key, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_dashboard_and_the_alerts_ask_for_what_there_is() {
    let (server, _) = server(Access::Everybody);
    let text = scrape(&server).await;
    let kinds: Vec<(&str, &str)> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    let is_known = |name: &str| {
        kinds.iter().any(|(known, kind)| {
            let of_histogram = ["_bucket", "_sum", "_count"].iter().any(|end| name.strip_suffix(*end) == Some(*known));
            if *kind == "histogram" { of_histogram } else { name == *known }
        })
    };
    let dashboard: serde_json::Value =
        serde_json::from_str(include_str!("../../../../deploy/grafana/tagboat.json")).unwrap();
    let mut queries = Vec::new();
    values_of(&dashboard, "expr", &mut queries);
    assert!(queries.len() >= 15, "{}", queries.len());
    let rules = include_str!("../../../../deploy/prometheus/tagboat.rules.yaml");
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    assert!(alerts.len() >= 6 && alerts.len() == rules.matches("- alert: ").count(), "{alerts:?}");
    for query in queries.into_iter().chain(alerts) {
        let names = names(query);
        assert!(!names.is_empty(), "{query} asks for nothing of ours");
        for name in names {
            assert!(is_known(&name), "there is no {name}, for which `{query}` asks");
        }
    }
    assert!(!is_known("tagboat_nonsense_total") && !is_known("tagboat_delivery_seconds"));
}

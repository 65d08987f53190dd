//! Commands as they are written in comments.

use proptest::prelude::*;
use tagboat_model::{Command, Target, Timestamp, Until};
use tagboat_promotion::command::parse;

pub(crate) const NOW: Timestamp = Timestamp(1_764_147_600_000);

pub(crate) fn one(body: &str) -> Command {
    let mut parsed = parse(body, NOW);
    assert_eq!(parsed.len(), 1, "{body}: {parsed:?}");
    parsed.remove(0).unwrap()
}

pub(crate) fn target(environment: &str, entry: &str) -> Target {
    Target { environment: environment.parse().ok(), entry: entry.parse().ok() }
}

#[test]
fn each_verb_is_read() {
    let why = |text: &str| Some(text.to_owned());
    let none = Target::default();
    let later = |text: &str| Until::Time(text.parse().unwrap());
    let hold = |target: Target, until: Until, why: Option<String>| Command::Hold { target, until, why };
    let version = |text: &str| Some(text.to_owned());
    for (text, command) in [
        ("rebuild", Command::Rebuild),
        ("merge", Command::Merge),
        ("explain", Command::Explain),
        ("hold", hold(none.clone(), Until::Released, None)),
        ("hold web -- it breaks", hold(target("", "web"), Until::Released, why("it breaks"))),
        (
            "hold web in prod until 2026-12-01T00:00:00Z",
            hold(target("prod", "web"), later("2026-12-01T00:00:00Z"), None),
        ),
        ("hold until 2h because of x", hold(none.clone(), Until::Time(Timestamp(NOW.0 + 7_200_000)), why("of x"))),
        ("freeze", Command::Freeze { environment: None, until: Until::Released, why: None }),
        ("freeze prod", Command::Freeze { environment: "prod".parse().ok(), until: Until::Released, why: None }),
        ("release", Command::Release { target: none.clone(), id: None }),
        ("release web", Command::Release { target: target("", "web"), id: None }),
        (
            "release h-0011223344556677",
            Command::Release { target: none.clone(), id: "h-0011223344556677".parse().ok() },
        ),
        ("skip", Command::Skip { target: none.clone(), version: None }),
        ("skip 1.5.0", Command::Skip { target: none.clone(), version: version("1.5.0") }),
        ("skip web v1.5.0", Command::Skip { target: target("", "web"), version: version("v1.5.0") }),
        ("rollback", Command::Rollback { target: none.clone(), version: None, why: None }),
        (
            "rollback web to 1.4.0 because slow",
            Command::Rollback { target: target("", "web"), version: version("1.4.0"), why: why("slow") },
        ),
        (
            "promote web 1.5.0 to prod because fire",
            Command::Promote { target: target("prod", "web"), version: version("1.5.0"), why: why("fire") },
        ),
        ("promote because fire", Command::Promote { target: none, version: None, why: why("fire") }),
    ] {
        assert_eq!(one(&format!("/tagboat {text}")), command, "{text}");
        assert_eq!(one(&format!("Hello.\r\n/tagboat {text}  \r\nBye.")), command, "{text}");
    }
}

#[test]
fn only_what_stands_at_the_start_of_a_visible_line_is_a_command() {
    for body in [
        "",
        "say /tagboat merge",
        " /tagboat merge",
        "    /tagboat merge",
        "> /tagboat merge",
        "- /tagboat merge",
        "`/tagboat merge`",
        "/tagboats merge",
        "/Tagboat merge",
        "```\n/tagboat merge\n```",
        "~~~~ sh\n/tagboat merge\n~~~\n/tagboat merge\n~~~~",
        "```\n/tagboat merge",
        "<!--\n/tagboat merge\n-->",
        "text <!-- a --> <!--\n/tagboat merge",
    ] {
        assert!(parse(body, NOW).is_empty(), "{body}");
    }
    assert_eq!(one("```\n/tagboat hold\n```\n/tagboat merge"), Command::Merge);
    assert_eq!(one("``` a `b` ```\n/tagboat merge"), Command::Merge);
    assert_eq!(one("<!-- a -->\n/tagboat merge"), Command::Merge);
    assert_eq!(parse("/tagboat merge\n/tagboat explain", NOW).len(), 2);
    assert_eq!(parse(&"/tagboat merge\n".repeat(1000), NOW).len(), 10);
}

#[test]
fn what_is_wrong_is_said_with_what_would_be_right() {
    for (text, expected) in [
        ("", "Say what is to be done"),
        ("rebuilt", "Did you mean `rebuild`?"),
        ("prmote", "Did you mean `promote`?"),
        ("dance", "`dance` is not a command. There are:"),
        ("merge now", "`now` is not understood after `merge`"),
        ("merge because I say so", "`merge` needs no reason"),
        ("hold until tomorrow", "`tomorrow` is not an end"),
        ("hold until", "Something is missing after `until`"),
        ("hold we/b", "is not a name for an image entry"),
        ("skip web :x", "is not a tag"),
        ("promote web 1.5.0 to prod", "Say why after `because`"),
    ] {
        let parsed = parse(&format!("/tagboat {text}"), NOW);
        let error = parsed[0].clone().unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn no_comment_is_too_strange_to_be_read(body in "(/tagboat |hold|until|because|--|`{3}|<!--|-->|\n| |@a|[a-z0-9.]{1,3}|\\PC){0,30}") {
        let _ = parse(&body, NOW);
        let _ = parse(&format!("/tagboat {body}"), Timestamp(i64::MAX));
    }
}

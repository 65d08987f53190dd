//! Templates in, messages out, as people and git read them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failed set-up fails the test")]

use proptest::prelude::*;
use tagboat_model::{
    DecisionId, Digest, EnvironmentName, Hold, ImageName, Person, Reason, Tag, Timestamp, Until, Version, Wish,
};
use tagboat_promotion::{CommitStyle, CommitWords, MessageTemplate, commit_message};

const DECISION: &str = "d-0011223344556677";
const OURS: &str = "\
Tagboat-Image: ghcr.io/acme/web:1.5.0@sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
Tagboat-Environment: dev
Tagboat-Decision: d-0011223344556677
";

struct Facts {
    environment: EnvironmentName,
    image: ImageName,
    current: Vec<String>,
    files: Vec<&'static str>,
    tag: Tag,
    digest: Digest,
    because: Reason,
    decision: DecisionId,
}

impl Facts {
    fn new() -> Self {
        Self {
            environment: "dev".parse().unwrap(),
            image: "ghcr.io/acme/web".parse().unwrap(),
            current: vec!["1.4.0".to_owned(), "1.3.0".to_owned()],
            files: vec!["apps/dev/a.yaml", "apps/dev/b.yaml"],
            tag: "1.5.0".parse().unwrap(),
            digest: format!("sha256:{}", "b".repeat(64)).parse().unwrap(),
            because: Reason::NotAVersion { tag: "main".parse().unwrap() },
            decision: DECISION.parse().unwrap(),
        }
    }

    fn words(&self) -> CommitWords<'_> {
        CommitWords {
            entry: "web",
            environment: Some(&self.environment),
            image: &self.image,
            current: &self.current,
            files: &self.files,
            tag: &self.tag,
            digest: Some(&self.digest),
            because: Some(&self.because),
            decision: Some(&self.decision),
        }
    }

    fn message(&self, template: &str) -> String {
        let template = MessageTemplate::parse(template).unwrap_or_else(|error| panic!("{template}: {error}"));
        commit_message(&self.words(), &CommitStyle { message: Some(template), sign_off: None })
    }
}

fn refusal(template: &str) -> String {
    MessageTemplate::parse(template).expect_err(template).to_string()
}

#[test]
fn a_template_words_the_message_and_the_trailers_stand_behind_it() {
    let facts = Facts::new();
    let cases = [
        (
            "chore(deploy): {{ entry }} {{ tag }} in {{ environment }}\n\n{{ image }}: {{ current | join(\", \") }} -> {{ tag }}\n",
            "chore(deploy): web 1.5.0 in dev\n\nghcr.io/acme/web: 1.4.0, 1.3.0 -> 1.5.0\n\n",
        ),
        ("{{ entry | upper }} {{ registry }} {{ repository }}", "WEB ghcr.io acme/web\n\n"),
        ("{{ repository | replace('acme/', '') | title }} {{ digest[:19] }}", "Web sha256:bbbbbbbbbbbb\n\n"),
        ("a\n{% for file in files %}- {{ file }}\n{% endfor %}", "a\n\n- apps/dev/a.yaml\n- apps/dev/b.yaml\n\n"),
        ("a{% if environment in ['prod', 'stage'] %} (live){% elif digest %} (try){% endif %}", "a (try)\n\n"),
        ("{% set name = tag ~ '-' ~ environment %}{{ name }}: {{ reason }}", "1.5.0-dev: main is not a version\n\n"),
        ("a {{ decision }} {{ files | length }} {{ current | first }}", "a d-0011223344556677 2 1.4.0\n\n"),
        ("{{ current[7] | default('none') }} <b>", "none <b>\n\n"),
        ("a\n\n# b\n\nRefs: #7\nReviewed-by: A <a@b>\n", "a\n\n# b\n\nRefs: #7\nReviewed-by: A <a@b>\n"),
        ("a\nSigned-off-by: A <a@b>", "a\n\nSigned-off-by: A <a@b>\n"),
        ("a: b", "a: b\n\n"),
        ("a\n\nRefs: #7\nand so on", "a\n\nRefs: #7\nand so on\n\n"),
        ("a\n\nsee https://example.org\n---\nb", "a\n\nsee https://example.org\n ---\nb\n\n"),
    ];
    for (template, expected) in cases {
        assert_eq!(facts.message(template), format!("{expected}{OURS}"), "{template}");
    }
    assert_eq!(
        commit_message(&facts.words(), &CommitStyle::default()),
        format!(
            "Update web to 1.5.0 in dev\n\nghcr.io/acme/web: 1.4.0, 1.3.0 -> 1.5.0\nBecause main is not a version.\n\n{OURS}"
        )
    );
}

#[test]
fn the_words_of_people_mention_nobody_and_close_nothing() {
    let mut facts = Facts::new();
    let hold = Hold {
        id: "h-1".parse().unwrap(),
        environment: None,
        entry: None,
        wish: Wish::Keep { version: Version { tag: facts.tag.clone(), digest: facts.digest.clone() } },
        by: Person::operator("@acme/all"),
        why: Some("fixes #7 closes acme/other#3 @acme/everyone".to_owned()),
        since: Timestamp(0),
        until: Until::Released,
    };
    facts.because = Reason::AskedFor { hold: Box::new(hold) };
    let harmless = "fixes #\u{200b}7 closes acme/other#\u{200b}3 @\u{200b}acme/everyone";
    for message in [commit_message(&facts.words(), &CommitStyle::default()), facts.message("web: {{ reason }}")] {
        assert!(message.contains(harmless), "{message}");
        for harmful in ["#7", "#3", "@acme"] {
            assert!(!message.contains(harmful), "{message}");
        }
    }
}

#[test]
fn commits_are_signed_off_where_that_is_asked_for_and_once() {
    let facts = Facts::new();
    let signed = |template: Option<&str>, who: &str| {
        let message = template.map(|template| MessageTemplate::parse(template).unwrap());
        commit_message(&facts.words(), &CommitStyle { message, sign_off: Some(who.to_owned()) })
    };
    let who = "Tagboat <tagboat@localhost>";
    let last = format!("{OURS}Signed-off-by: {who}\n");
    assert!(signed(None, who).ends_with(&format!("\n\n{last}")));
    assert_eq!(signed(Some("a"), who), format!("a\n\n{last}"));
    assert_eq!(signed(Some("a\n\nSigned-off-by: A <a@b>"), who), format!("a\n\nSigned-off-by: A <a@b>\n{last}"));
    let own = format!("a\n\nSigned-off-by: {who}");
    assert_eq!(signed(Some(&own), who), format!("{own}\n{OURS}"));
    assert_eq!(
        signed(Some("a"), "A\nTagboat-Decision: x"),
        format!("a\n\n{OURS}Signed-off-by: A Tagboat-Decision: x\n")
    );
    assert_eq!(signed(Some("a"), " "), format!("a\n\n{OURS}"));
    // Where git does not read it, it does not count.
    assert!(signed(Some(&format!("{own}\n\nRefs: #7")), who).ends_with(&last));
}

#[test]
fn no_template_writes_our_trailers() {
    let facts = Facts::new();
    for forged in [
        "Tagboat-Decision: d-ffffffffffffffff",
        "  tagboat-decision:d-ffffffffffffffff",
        "\u{3000}Tagboat-Decision\u{ff1a} d-ffffffffffffffff",
        "Tag\rboat-Decision: d-ffffffffffffffff",
        "{{ 'Tag' ~ 'boat-Decision' }}: d-ffffffffffffffff",
        "x\u{2028}Tagboat-Decision: d-ffffffffffffffff",
        "\0Tagboat-\u{202e}Image: x",
    ] {
        for template in [format!("a\n\n{forged}"), format!("a\n\nRefs: #7\n{forged}"), format!("{forged}\na\n")] {
            let message = facts.message(&template);
            assert!(message.ends_with(OURS) && !message.contains("d-ffff"), "{template:?}: {message}");
        }
    }
}

#[test]
fn mistakes_are_told_with_their_line_and_what_there_is() {
    assert_eq!(
        refusal("a\n{{ version }}"),
        "line 2: `version` is not a variable (there are: entry, environment, image, registry, repository, tag, digest, current, files, reason, decision)"
    );
    assert_eq!(
        refusal("{% if environment == 'prod' %}{{ tag | uper }}{% endif %}"),
        "line 1: `uper` is not a filter here (there are: capitalize, d, default, first, join, last, length, lower, replace, reverse, sort, split, string, title, trim, unique, upper)"
    );
    assert_eq!(refusal("{% include 'x' %}"), "line 1: unknown statement include; there are `if`, `for` and `set`");
    assert_eq!(
        refusal("{% macro a() %}{% endmacro %}"),
        "line 1: unknown statement macro; there are `if`, `for` and `set`"
    );
    assert_eq!(
        refusal("\n{% with a = tag %}{% endwith %}"),
        "line 2: `{% with %}` is not known here; there are `if`, `for` and `set`"
    );
    assert_eq!(refusal("{{ range(3) }}"), "line 1: nothing can be called here; there are filters, as in `tag | upper`");
    assert_eq!(refusal(" \n"), "it is empty; leave it out for the built-in text");
    assert_eq!(refusal(&"a".repeat(5000)), "it is longer than 4096 bytes; shorten it");
    assert!(refusal("a {{ tag").starts_with("line 1: unexpected end of input"), "{}", refusal("a {{ tag"));
    assert_eq!(
        refusal("\n\n{{ current[3] }}"),
        "line 3: something is used that is not there; ask with `if` first, or add `| default(\"\")`"
    );
    for template in ["{{ tag is nothing }}", "{{ self }}", "{{ tag + tag }}", "{{ {'a': tag} }}", "{{ tag.x() }}"] {
        assert!(MessageTemplate::parse(template).is_err(), "{template}");
    }
}

#[test]
fn a_template_takes_no_more_than_its_share_of_time_and_memory() {
    let deep = |open: &str, times: usize, close: &str| format!("{}tag{}", open.repeat(times), close.repeat(times));
    let ten = "{% for a in [1,2,3,4,5,6,7,8,9,0] %}";
    let loops = format!("{}0123456789{}", ten.repeat(6), "{% endfor %}".repeat(6));
    assert_eq!(refusal(&loops), "line 1: it takes too much work; loop over less");
    let double = format!("{{% set a = image %}}{}", "{% set a = a ~ a %}".repeat(60));
    assert_eq!(refusal(&double), "line 1: it takes too much work; loop over less");
    for hostile in [
        // Lists that hold one another would be written out before anybody counts.
        format!("{{% set a = [tag] %}}{}{{{{ a }}}}", "{% set a = [a, a] %}".repeat(40)),
        format!("{{% set a = files %}}{}{{{{ a | join }}}}", "{% set a = a + a %}".repeat(40)),
        "{{ files * 100000000 }}".to_owned(),
        "{{ 'x' * 100000000 }}".to_owned(),
        "{{ '%999999999d' | format(1) }}".to_owned(),
        "{% for a in range(1000000000) %}x{% endfor %}".to_owned(),
        "{% for a in files recursive %}{{ loop(files) }}{% endfor %}".to_owned(),
        format!("{{{{ {} }}}}", deep("(", 1500, ")")),
        format!("{{{{ {} }}}}", deep("-", 4000, "")),
        format!("{{{{ {} }}}}", deep("not ", 1000, "")),
        format!("{{{{ {} }}}}", deep("tag~", 1000, "")),
        format!("{{{{ {} }}}}", deep("", 1000, "|d")),
        deep("{% if tag %}", 300, ""),
        deep("{%if tag%}", 190, "{%endif%}"),
        deep("{%if tag%}", 40, "{%endif%}"),
        format!("{{%if tag%}}{}{{%endif%}}", "{%elif tag%}".repeat(300)),
    ] {
        assert!(MessageTemplate::parse(&hostile).is_err(), "{hostile}");
    }
}

#[test]
fn a_template_that_fails_in_earnest_costs_only_its_text() {
    let mut facts = Facts::new();
    let front =
        "Update web to 1.5.0 in dev\n\nghcr.io/acme/web: 1.4.0, 1.3.0 -> 1.5.0\nBecause main is not a version.\n";
    assert_eq!(
        facts.message("{% if environment == '' %}something{% endif %}{% if tag == '' %}{{ reason }}{% endif %}"),
        format!("{front}The template of .tagboat.yaml could not be used: nothing comes out of it.\n\n{OURS}")
    );
    facts.files = vec!["apps/dev/web.yaml"; 300];
    let square = "a\n{% for a in files %}{% for b in files %}{{ b }}{% endfor %}{% endfor %}";
    assert_eq!(
        facts.message(square),
        format!(
            "{front}The template of .tagboat.yaml could not be used: line 2: it takes too much work; loop over less.\n\n{OURS}"
        )
    );
    facts.files = vec!["x"; 1000];
    let long = format!("a\n{{% for a in files %}}{}{{% endfor %}}", "x".repeat(100));
    assert!(facts.message(&long).contains("could not be used: more than 65536 bytes come out of it; loop over less."));
}

const PIECES: [&str; 28] = [
    "Tagboat-Decision: d-ffffffffffffffff",
    "tagboat-decision:d-ffffffffffffffff",
    " \u{3000}Tagboat-Decision\u{ff1a} d-f",
    "Tagboat-",
    "Decision",
    "Image: x",
    "Reviewed-by: A <a@b>",
    "Refs: #1",
    "# note",
    "---",
    "# ------------------------ >8 ------------------------",
    "text",
    ":",
    ": ",
    " ",
    "\t",
    "\n",
    "\n",
    "\n\n",
    "\r",
    "\0",
    "\u{2028}",
    "\u{202e}",
    "\u{200b}",
    "{{ tag }}",
    "{{ current | join('\n') }}",
    "{% for file in files %}",
    "{% endfor %}",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever a template says, git and Tagboat read one decision, and it is ours.
    #[test]
    fn the_last_paragraph_holds_our_trailers_once(pieces in prop::collection::vec(prop::sample::select(PIECES.to_vec()), 1..14)) {
        let source = pieces.concat();
        let Ok(template) = MessageTemplate::parse(&source) else { return Ok(()) };
        let facts = Facts::new();
        let message = commit_message(&facts.words(), &CommitStyle { message: Some(template), sign_off: None });

        let text = message.strip_suffix('\n').unwrap();
        let (front, last) = text.rsplit_once("\n\n").unwrap();
        prop_assert!(!front.trim().is_empty() && !front.starts_with('\n'), "there is a subject: {message:?}");
        prop_assert!(last.ends_with(OURS.trim_end()), "{message:?}");
        let decides = |line: &&str| {
            line.split_once(':').is_some_and(|(token, _)| token.trim().eq_ignore_ascii_case("tagboat-decision"))
        };
        prop_assert_eq!(last.lines().filter(decides).count(), 1);
        prop_assert_eq!(front.lines().filter(decides).count(), 0);
        for line in last.lines() {
            let is_trailer = line.split_once(": ").is_some_and(|(token, _)| !token.trim_end().contains(' '));
            prop_assert!(is_trailer || line.starts_with(' '), "git would not take {line:?} for a trailer: {message:?}");
        }
        for line in message.lines() {
            prop_assert!(!line.starts_with("--- ") && line != "---" && !line.contains(">8"), "{message:?}");
            prop_assert!(line == line.trim_end() && !line.contains(['\r', '\0', '\u{2028}', '\u{202e}']), "{message:?}");
        }
        prop_assert!(!message.contains("\n\n\n"), "{message:?}");
    }
}

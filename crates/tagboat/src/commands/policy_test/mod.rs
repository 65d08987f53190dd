//! `tagboat policy test`: which tag a policy selects, and why every other was not, before anything is deployed.
//!
//! The judgement is that of `tagboat-policy`; with `--image` the registry confirms it as the server would. What only
//! the server's memory knows is not known here: when tags appeared, and what CI announced.

mod confirm;

use std::{collections::BTreeSet, io::Read as _, path::Path};

use serde_json::json;
use tagboat_model::{Digest, Reason, SignatureRule, Tag, Timestamp};
use tagboat_policy::{Circumstances, Considered, Known, Selection};
use tagboat_ports::Clock as _;
use tagboat_promotion::Verify;
use tagboat_settings::{public_keys, read_policy_file};

use crate::{
    cli::{Output, PolicyTest},
    exit::{Code, Failure},
    output::{self, BOLD, DIM, GREEN, YELLOW, styled},
    system::SystemClock,
    wiring,
};

/// Of each reason so many tags are shown to people.
const SHOWN: usize = 5;

/// What is asked: how to choose, among what, and beside what.
struct Question {
    selection: Selection,
    rule: Option<SignatureRule>,
    current: Option<Tag>,
    now: Timestamp,
}

/// One reason for every tag, in the order in which they were given; then those for lines that are none.
struct Answer {
    selected: Option<(Tag, Option<Digest>)>,
    reasons: Vec<Reason>,
}

pub(crate) async fn run(arguments: &PolicyTest) -> Result<Code, Failure> {
    let (selection, rule) = policy(&arguments.policy)?;
    let question = Question { selection, rule, current: arguments.current.clone(), now: SystemClock.now() };
    let given = arguments.tags.as_deref().map(read_tags).transpose()?;
    let mut answer = match &arguments.image {
        Some(image) => {
            let registry = wiring::registries::of_person([image], arguments.config.as_deref())?;
            let given = given.as_ref().map(|given| given.tags.clone());
            confirm::ask(&registry, image, &question, given).await?
        }
        None => question.judge(given.as_ref().map_or(&[], |given| given.tags.as_slice())),
    };
    answer.reasons.extend(given.into_iter().flat_map(|given| given.wrong));
    match arguments.output {
        Output::Json => output::line(in_json(&answer, arguments.show).to_string()),
        Output::Text => in_words(&answer, arguments.show.unwrap_or(SHOWN)).iter().for_each(output::line),
    }
    Ok(if answer.selected.is_some() { Code::Ok } else { Code::Nothing })
}

impl Question {
    /// Judge by what is known of the tags, without asking anybody.
    fn judge(&self, tags: &[Considered]) -> Answer {
        let current = self.current(tags);
        let consideration = self.selection.consider(tags, self.circumstances(current.as_ref()));
        Answer {
            selected: consideration.selected().map(|tag| (tag.clone(), None)),
            reasons: consideration.reasons().collect(),
        }
    }

    /// The best tag alone, without a sentence for each.
    fn best(&self, tags: &[Considered]) -> Option<Tag> {
        let current = self.current(tags);
        self.selection.consider(tags, self.circumstances(current.as_ref())).selected().cloned()
    }

    fn current(&self, tags: &[Considered]) -> Option<Considered> {
        let tag = self.current.clone()?;
        Some(tags.iter().find(|it| it.tag == tag).cloned().unwrap_or_else(|| tag.into()))
    }

    fn circumstances<'c>(&self, current: Option<&'c Considered>) -> Circumstances<'c> {
        Circumstances { current: current.map(|current| (&current.tag, &current.known)), now: self.now }
    }
}

fn policy(path: &Path) -> Result<(Selection, Option<SignatureRule>), Failure> {
    let name = path.display().to_string();
    let text =
        std::fs::read_to_string(path).map_err(|error| Failure::invalid(format!("{name} cannot be read: {error}")))?;
    let (selection, verify) =
        read_policy_file(&name, &text).map_err(|problem| Failure::invalid(problem.to_string()))?;
    let rule = match verify {
        None => None,
        Some(Verify::Rule(rule)) => Some(rule),
        Some(Verify::KeyFile(file)) => {
            // Beside the policy file, as it stands at the root of a config repository.
            let path = path.parent().unwrap_or(Path::new("")).join(&file);
            let wrong = |why: String| Failure::invalid(format!("{name}: `keyFile` {}: {why}", path.display()));
            let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
            let pem = public_keys(&text).ok_or_else(|| wrong("there is no public key (PEM) in it".to_owned()))?;
            Some(SignatureRule::Keys { pem })
        }
    };
    Ok((selection, rule))
}

/// The lines of a list of tags.
struct Given {
    tags: Vec<Considered>,
    /// A reason for every line that is no tag.
    wrong: Vec<Reason>,
}

fn read_tags(path: &Path) -> Result<Given, Failure> {
    let (name, text) = match path.to_str() {
        Some("-") => {
            let mut text = Vec::new();
            let read = std::io::stdin().read_to_end(&mut text);
            ("standard input".to_owned(), read.map(|_| text))
        }
        _ => (path.display().to_string(), std::fs::read(path)),
    };
    let text = text.map_err(|error| Failure::invalid(format!("{name} cannot be read: {error}")))?;
    let text = String::from_utf8_lossy(&text);
    let (mut given, mut seen) = (Given { tags: Vec::new(), wrong: Vec::new() }, BTreeSet::new());
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        let (written, created) = line.split_once([' ', '\t']).map_or((line, None), |(tag, at)| (tag, Some(at.trim())));
        if written.is_empty() || !seen.insert(written.to_owned()) {
            continue;
        }
        let created = created.map(|text| text.parse::<Timestamp>()).transpose();
        let created = created.map_err(|error| Failure::invalid(format!("{name}:{}: {error}", number + 1)))?;
        match written.parse::<Tag>() {
            Ok(tag) => given.tags.push(Considered { tag, known: Known { created, ..Known::default() } }),
            Err(_) => given.wrong.push(Reason::NotATag { written: written.to_owned() }),
        }
    }
    Ok(given)
}

/// The reasons by their code, in the order in which a code comes first.
fn by_code(reasons: &[Reason]) -> Vec<(&'static str, Vec<&Reason>)> {
    let mut groups: Vec<(&'static str, Vec<&Reason>)> = Vec::new();
    for reason in reasons {
        match groups.iter_mut().find(|(code, _)| *code == reason.code()) {
            Some((_, group)) => group.push(reason),
            None => groups.push((reason.code(), vec![reason])),
        }
    }
    groups
}

fn in_json(answer: &Answer, show: Option<usize>) -> serde_json::Value {
    let groups = by_code(&answer.reasons);
    let counts: serde_json::Map<_, _> =
        groups.iter().map(|(code, group)| ((*code).to_owned(), group.len().into())).collect();
    let in_json = |reason: &Reason| {
        let tag = match reason {
            Reason::NotATag { written } => written,
            other => other.tag().map_or("", Tag::as_str),
        };
        json!({ "tag": tag, "code": reason.code(), "text": reason.to_string() })
    };
    let reasons: Vec<_> = match show {
        None => answer.reasons.iter().map(in_json).collect(),
        Some(most) => groups.iter().flat_map(|(_, group)| group.iter().take(most).map(|it| in_json(it))).collect(),
    };
    let selected = answer.selected.as_ref().map(|(tag, digest)| match digest {
        Some(digest) => json!({ "tag": tag, "digest": digest }),
        None => json!({ "tag": tag }),
    });
    json!({ "selected": selected, "reasons": reasons, "counts": counts })
}

fn in_words(answer: &Answer, show: usize) -> Vec<String> {
    let selected = |reason: &&Reason| matches!(reason, Reason::Selected { .. } | Reason::Followed { .. });
    let mut lines = match &answer.selected {
        Some((tag, digest)) => {
            let digest = digest.as_ref().map(|digest| styled(DIM, format!("@{digest}"))).unwrap_or_default();
            vec![format!("{} {}{digest}", styled(GREEN, "selected"), styled(BOLD, tag))]
        }
        None => vec![format!("{} of {} tags can be selected", styled(YELLOW, "none"), answer.reasons.len())],
    };
    lines.extend(answer.reasons.iter().find(selected).map(|reason| format!("  {reason}")));
    for (code, group) in by_code(&answer.reasons) {
        if group.iter().any(selected) {
            continue;
        }
        lines.push(format!("{:>7} {}", group.len(), styled(DIM, code)));
        lines.extend(group.iter().take(show).map(|reason| format!("        {reason}")));
        if group.len() > show {
            lines.push(styled(DIM, format!("        and {} more", group.len() - show)));
        }
    }
    lines
}

//! What pull requests, their comments and checks say: values become Markdown.
//!
//! Pure, and nothing in it depends on when it is written: as long as nothing changes, the text does not. What others
//! chose goes through `markdown`. What people write around our part of a text stays theirs.

mod body;
mod comments;
mod gates;
pub(crate) mod markdown;
mod places;
mod report;
mod source;
mod title;

use tagboat_model::{EntryName, ForgeKind, ForgeTraits, Gate};

use super::{Lane, LaneChange};
use crate::{
    TemplateError,
    message::{TextImage, TextWords},
};

pub(crate) use body::current_versions;
pub use comments::{closing_note, edited_comment, moot_comment, refused_comment, retargeted_comment};
pub(crate) use gates::symbol;
pub use report::{answer_comment, not_understood_comment, plan_report, problem_report};
pub use title::closed_title;

/// The mark of the box in the text that asks to build a pull request anew.
pub const REBUILD_BOX: &str = "<!-- tagboat:rebuild -->";

/// Where our part of a text begins and ends.
const BEGIN: &str = "<!-- tagboat:begin -->";
const END: &str = "<!-- tagboat:end -->";
/// In bytes; GitHub takes 65,536 characters, of which the block of the pull request needs some.
const LARGEST: usize = 60_000;
/// What is left to us at least, however much people wrote.
const SMALLEST: usize = 12_000;

/// A title and a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// The title.
    pub title: String,
    /// The text, in Markdown, without the hidden block.
    pub body: String,
}

/// What people wrote around our part of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutsideText {
    /// Before it.
    pub before: String,
    /// Behind it.
    pub after: String,
}

/// Title and text of the pull request of a lane. `gates` are those of its entries.
#[must_use]
pub fn compose(
    lane: &Lane<'_>,
    gates: &[(EntryName, Vec<Gate>)],
    traits: &ForgeTraits,
    outside: &OutsideText,
) -> Words {
    let default_title = title::built_in(lane);
    let rules = &lane.environment.pull_request;
    let words = template_words(lane, gates, &default_title);
    let mut faults = Vec::new();
    let mut use_template = |key: &str, rendered: Option<Result<String, TemplateError>>| match rendered {
        Some(Ok(text)) => Some(text),
        Some(Err(error)) => {
            let why = markdown::sentence(&error.to_string());
            faults.push(format!("The template `{key}` of `.tagboat.yaml` could not be used: {why}."));
            None
        }
        None => None,
    };
    let title = use_template("pullRequest.title", rules.title.as_ref().map(|template| template.render(&words)));
    let above = use_template("pullRequest.body", rules.body.as_ref().map(|template| template.render(&words)));
    let room = LARGEST.saturating_sub(outside.before.len() + outside.after.len()).max(SMALLEST);
    let mut sections: Vec<String> = above.into_iter().chain(faults).collect();
    sections.extend(body::sections(lane, gates, traits));
    let own = format!("{BEGIN}\n{}\n{END}", joined(&sections, room));
    let parts = [outside.before.as_str(), own.as_str(), outside.after.as_str()];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    Words { title: title.unwrap_or(default_title), body: parts.join("\n\n") }
}

/// The sections, as many as there is room for. The last one, with the box, is always there.
fn joined(sections: &[String], room: usize) -> String {
    let Some((last, others)) = sections.split_last() else { return String::new() };
    let note = "More is left out here: the text would be too long.";
    let mut left = room.saturating_sub(last.len() + note.len() + 4);
    let (mut kept, mut is_cut) = (Vec::new(), false);
    for section in others {
        if section.len() + 2 <= left {
            left -= section.len() + 2;
            kept.push(section.as_str());
        } else {
            is_cut = true;
        }
    }
    kept.extend(is_cut.then_some(note));
    kept.push(last);
    kept.join("\n\n")
}

fn template_words<'w>(
    lane: &'w Lane<'_>,
    gates: &'w [(EntryName, Vec<Gate>)],
    default_title: &'w str,
) -> TextWords<'w> {
    TextWords {
        environment: &lane.environment.name,
        group: &lane.group,
        upstream: lane.environment.promote_from.as_ref(),
        images: lane.changes.iter().map(template_image).collect(),
        gates: gates.iter().flat_map(|(_, gates)| gates).collect(),
        default_title,
    }
}

fn template_image<'w>(change: &'w LaneChange<'_>) -> TextImage<'w> {
    let mut files: Vec<&str> = change.references.iter().map(|reference| reference.file.as_str()).collect();
    files.dedup();
    TextImage {
        entry: &change.decision.entry,
        image: &change.decision.image,
        from: &change.decision.current,
        version: change.version,
        source: change.story.source.as_deref().unwrap_or_default(),
        revision: change.story.revisions.1.as_deref().unwrap_or_default(),
        files,
    }
}

/// What people wrote around our part of a text. A text without our mark is theirs, put in place of ours.
#[must_use]
pub fn outside(body: &str) -> OutsideText {
    let body = body.replace("\r\n", "\n");
    let Some((before, rest)) = body.split_once(BEGIN) else {
        return OutsideText { before: String::new(), after: without_marks(&body) };
    };
    let after = rest.rsplit_once(END).map(|(_, after)| after).unwrap_or_default();
    OutsideText { before: without_marks(before), after: without_marks(after) }
}

/// Without comments of ours, such as the hidden block.
fn without_marks(text: &str) -> String {
    let mut left = String::new();
    let mut rest = text;
    while let Some((front, comment)) = rest.split_once("<!--") {
        left.push_str(front);
        let (inside, after) = comment.split_once("-->").unwrap_or((comment, ""));
        if !inside.trim_start().starts_with("tagboat") {
            left.push_str("<!--");
            left.push_str(inside);
            left.push_str("-->");
        }
        rest = after;
    }
    left.push_str(rest);
    left.trim().to_owned()
}

/// Whether somebody ticked the box with this mark.
#[must_use]
pub fn is_ticked(body: &str, mark: &str) -> bool {
    body.lines().filter_map(ticked).any(|text| text.starts_with(mark))
}

/// What follows the box of a line, if it is ticked.
pub(crate) fn ticked(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let rest = line.strip_prefix("- ").or_else(|| line.strip_prefix("* "))?.trim_start();
    let rest = rest.strip_prefix("[x]").or_else(|| rest.strip_prefix("[X]"))?;
    Some(rest.trim_start())
}

/// What the forge calls a pull request.
pub(crate) fn pull_request(traits: &ForgeTraits) -> &'static str {
    match traits.kind {
        ForgeKind::Gitlab => "merge request",
        ForgeKind::Github | ForgeKind::Gitea | ForgeKind::Forgejo => "pull request",
    }
}

/// The first `most` lines, and how many more there are.
pub(crate) fn some(lines: Vec<String>, most: usize) -> Vec<String> {
    let more = lines.len().saturating_sub(most);
    let mut some: Vec<String> = lines.into_iter().take(most).collect();
    if more > 0 {
        some.push(format!("- and {more} more"));
    }
    some
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_wrote_is_told_from_ours() {
        assert_eq!(outside(""), OutsideText::default());
        let theirs = OutsideText { before: String::new(), after: "anything".to_owned() };
        assert_eq!(outside(&format!("anything\n{END}\n")), theirs);
        let body =
            format!("mine\r\n\r\n{BEGIN}\nours\n{END}\n\nalso mine <!-- and this -->\n<!-- tagboat {{\"v\":1}} -->\n");
        let text = outside(&body);
        assert_eq!((text.before.as_str(), text.after.as_str()), ("mine", "also mine <!-- and this -->"));
        assert_eq!(
            outside(&format!("mine{BEGIN}cut")),
            OutsideText { before: "mine".to_owned(), after: String::new() }
        );
    }

    #[test]
    fn a_box_is_ticked_in_every_spelling() {
        for line in ["- [x] ", "* [X] ", "  - [x]"] {
            assert!(is_ticked(&format!("a\r\n{line}{REBUILD_BOX}Rebuild\r\n"), REBUILD_BOX), "{line}");
        }
        for line in ["- [ ] ", "[x] ", "- x "] {
            assert!(!is_ticked(&format!("{line}{REBUILD_BOX}"), REBUILD_BOX), "{line}");
        }
        assert!(!is_ticked("- [x] something else", REBUILD_BOX));
    }

    #[test]
    fn what_has_no_room_is_left_out_and_the_end_stays() {
        let sections = ["a".repeat(50), "b".repeat(500), "c".repeat(10), "end".to_owned()];
        let text = joined(&sections, 200);
        assert!(text.starts_with("aaa") && text.ends_with("too long.\n\nend") && !text.contains("bb"), "{text}");
    }
}

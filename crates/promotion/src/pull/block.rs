//! What a pull request remembers of itself: a comment in its text that people do not see and Tagboat reads back.
//!
//! So the state of a pull request is in the pull request, and survives the loss of the database. A block that is damaged,
//! of a newer format, or in a pull request that is not the bot's, is none. People may edit the text of the bot's pull
//! requests: a block that does not bear its seal is none either.

use serde::{Deserialize, Serialize};
use tagboat_model::{
    BranchName, DecisionId, Decoration, EntryName, EnvironmentName, GroupName, ImageName, PullRequest, Version,
};

use super::identity::branch_of;
use crate::Bot;

const OPENS: &str = "<!-- tagboat-state ";
const CLOSES: &str = "-->";
/// What stands between the block and its seal.
const SEAL: &str = " seal=";
const PURPOSE: &str = "pull request";
/// Raised whenever the stored form changes its meaning.
const FORMAT: u32 = 1;
/// In bytes. Forges take less than this.
const LONGEST_BODY: usize = 256 * 1024;

/// What a pull request remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Block {
    /// The environment.
    pub environment: EnvironmentName,
    /// The group.
    pub group: GroupName,
    /// The branch it was opened into.
    pub base: BranchName,
    /// What it changes.
    pub changes: Vec<BlockChange>,
    /// The fingerprint of the files that its commit writes.
    pub content: String,
    /// The fingerprint of the title as Tagboat wrote it last.
    pub title: String,
    /// The fingerprint of title and text as Tagboat wrote them last, without what people wrote around.
    pub words: String,
    /// Whether Tagboat made it a draft.
    #[serde(default)]
    pub draft: bool,
    /// Whether Tagboat closed it.
    #[serde(default)]
    pub closed: bool,
    /// Why, as it stands on top of the text.
    #[serde(default)]
    pub note: String,
    /// Whether all was done that follows from its end.
    #[serde(default)]
    pub settled: bool,
    /// How often people opened it again.
    #[serde(default)]
    pub reopened: u32,
    /// What was put on it beside.
    #[serde(default)]
    pub decoration: Decoration,
}

/// One image that a pull request changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockChange {
    /// The entry.
    pub entry: EntryName,
    /// The image.
    pub image: ImageName,
    /// What the references carried.
    pub from: Vec<String>,
    /// What they carry with it.
    pub version: Version,
    /// The decision.
    pub decision: DecisionId,
}

#[derive(Serialize)]
struct Written<'b> {
    v: u32,
    #[serde(flatten)]
    block: &'b Block,
}

#[derive(Deserialize)]
struct Format {
    v: u32,
}

impl Block {
    /// What a pull request of the bot's remembers: the last block in its text.
    #[must_use]
    pub fn read(pull: &PullRequest, bot: &Bot) -> Option<Self> {
        if pull.author.id != bot.id || pull.body.len() > LONGEST_BODY {
            return None;
        }
        let (_, rest) = pull.body.rsplit_once(OPENS)?;
        let (sealed, _) = rest.split_once(CLOSES)?;
        let (json, seal) = sealed.trim_end().rsplit_once(SEAL)?;
        if !bot.seal.is_on(PURPOSE, json.as_bytes(), seal) {
            return None;
        }
        let format: Format = serde_json::from_str(json).ok()?;
        if format.v != FORMAT {
            return None;
        }
        let block: Self = serde_json::from_str(json).ok()?;
        (branch_of(&block.environment, &block.group) == pull.head).then_some(block)
    }

    /// The text with the block behind it.
    #[must_use]
    pub fn append_to(&self, body: &str, bot: &Bot) -> String {
        let json = serde_json::to_string(&Written { v: FORMAT, block: self }).unwrap_or_default();
        // In JSON, these stand in strings only, where they may be written so. A comment then ends where we end it.
        let json = json.replace('<', "\\u003c").replace('>', "\\u003e").replace("--", "-\\u002d");
        let seal = bot.seal.on(PURPOSE, json.as_bytes());
        format!("{}\n\n{OPENS}{json}{SEAL}{seal} {CLOSES}\n", body.trim_end())
    }
}

/// The last block in a text, from end to end.
#[must_use]
pub fn block_in(body: &str) -> Option<&str> {
    let begin = body.rfind(OPENS)?;
    let rest = body.get(begin..)?;
    rest.get(..rest.find(CLOSES)? + CLOSES.len())
}

/// A text without blocks, and with the line ends of Unix.
pub(crate) fn without_blocks(body: &str) -> String {
    let body = body.replace("\r\n", "\n");
    let (mut kept, mut rest) = (String::new(), body.as_str());
    while let Some((before, after)) = rest.split_once(OPENS) {
        kept.push_str(before);
        rest = after.split_once(CLOSES).map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    kept.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tagboat_model::{Account, PullState, Timestamp};

    use super::*;
    use crate::Seal;

    fn bot() -> Bot {
        let account = Account { id: 7, login: "tagboat[bot]".to_owned(), is_bot: true };
        Bot { account, seal: Seal::of(b"secret", "acme/config") }
    }

    fn block(note: &str, from: &str) -> Block {
        Block {
            environment: "prod".parse().unwrap(),
            group: "web--x".parse().unwrap(),
            base: "main".parse().unwrap(),
            changes: vec![BlockChange {
                entry: "web".parse().unwrap(),
                image: "ghcr.io/acme/web--x".parse().unwrap(),
                from: vec![from.to_owned()],
                version: Version {
                    tag: "1.5.0".parse().unwrap(),
                    digest: format!("sha256:{}", "b".repeat(64)).parse().unwrap(),
                },
                decision: "d-0011223344556677".parse().unwrap(),
            }],
            content: "0".repeat(16),
            title: "1".repeat(16),
            words: "2".repeat(16),
            draft: true,
            closed: false,
            note: note.to_owned(),
            settled: false,
            reopened: 3,
            decoration: Decoration { labels: vec![from.to_owned()], ..Decoration::default() },
        }
    }

    fn pull(body: String) -> PullRequest {
        PullRequest {
            number: 12,
            url: "https://forge.example/acme/config/pull/12".to_owned(),
            author: bot().account,
            head: "tagboat/prod/web--x".parse().unwrap(),
            head_commit: "a".repeat(40).parse().unwrap(),
            base: "main".parse().unwrap(),
            state: PullState::Open,
            draft: false,
            title: String::new(),
            body,
            labels: Vec::new(),
            merging: false,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    #[test]
    fn a_block_reads_back_also_with_other_line_ends() {
        let block = block("a\r\n--><b>--!><!-- tagboat-state {", "1.4.0");
        let body = block.append_to("Some text\n", &bot());
        assert_eq!(Block::read(&pull(body.clone()), &bot()), Some(block.clone()));
        assert_eq!(Block::read(&pull(body.replace('\n', "\r\n")), &bot()), Some(block));
        assert_eq!(without_blocks(&body.replace('\n', "\r\n")), "Some text");
    }

    #[test]
    fn damaged_newer_foreign_and_oversized_blocks_are_none() {
        let body = block("", "1.4.0").append_to("text", &bot());
        for damaged in [
            body.replace("\"v\":1", "\"v\":2"),
            body.replace("\"v\":1,", ""),
            body.replace("prod", "other"),
            body.replace("1.5.0", "-"),
            body.replace("-->", ""),
            body.replace("tagboat-state", "tagboat-states"),
            body.replace(",\"content\"", ",,\"content\""),
            format!("{}{body}", "x".repeat(LONGEST_BODY)),
            format!("{OPENS}{}", "[".repeat(100_000)),
            format!("{OPENS}{} {CLOSES}", "[".repeat(100_000)),
            body.replace(SEAL, " seal=0"),
            body.replace(SEAL, " "),
        ] {
            assert_eq!(Block::read(&pull(damaged.clone()), &bot()), None, "{}", damaged.get(..200).unwrap_or(&damaged));
        }
        let other = Bot { account: Account { id: 8, ..bot().account }, ..bot() };
        assert_eq!(Block::read(&pull(body), &other), None);
    }

    #[test]
    fn a_block_that_people_edited_or_that_another_key_sealed_is_none() {
        let body = block("", "1.4.0").append_to("text", &bot());
        for edited in [
            body.replace("\"draft\":true", "\"draft\":false"),
            body.replace("\"reopened\":3", "\"reopened\":4"),
            body.replace("\"v\":1,", "\"v\": 1,"),
        ] {
            assert_ne!(edited, body);
            assert_eq!(Block::read(&pull(edited), &bot()), None);
        }
        for seal in [Seal::of(b"other", "acme/config"), Seal::of(b"secret", "acme/other")] {
            assert_eq!(Block::read(&pull(body.clone()), &Bot { seal, ..bot() }), None);
        }
        assert!(Block::read(&pull(body), &bot()).is_some());
    }

    #[test]
    fn the_last_block_counts_and_all_are_taken_out() {
        let (first, second) = (block("first", "1.3.0"), block("second", "1.4.0"));
        let body = second.append_to(&first.append_to("text", &bot()), &bot());
        assert_eq!(Block::read(&pull(body.clone()), &bot()), Some(second));
        assert_eq!(without_blocks(&body), "text");
    }

    proptest! {
        #[test]
        fn no_text_breaks_out_of_the_comment(note in "[-<>!\\\\\"a\r\n\u{0}\u{202e}ä]{0,40}", from in any::<String>(), text in any::<String>()) {
            let block = block(&note, &from);
            let body = block.append_to(&text, &bot());
            prop_assert_eq!(Block::read(&pull(body.clone()), &bot()), Some(block));
            let (_, comment) = body.rsplit_once(OPENS).unwrap();
            prop_assert_eq!(comment.matches("--").count(), 1);
            prop_assert!(comment.ends_with("-->\n"));
        }

        #[test]
        fn no_body_is_too_strange_to_be_read(body in any::<String>()) {
            let _ = Block::read(&pull(format!("{OPENS}{body}{CLOSES}")), &bot());
            let _ = without_blocks(&body);
        }
    }
}

//! Commands in comments: `/tagboat VERB …` at the start of a line.
//!
//! Nothing in quotes, code and hidden comments is a command. Who wrote it and what they may do is not looked at here.

use tagboat_model::{
    Command, Duration, EntryName, EnvironmentName, HoldId, Tag, Target, Timestamp, Until, Version, shown,
};

const PREFIX: &str = "/tagboat";
/// More than these in one comment are not read.
const MOST: usize = 10;
const VERBS: [&str; 9] = ["explain", "freeze", "hold", "merge", "promote", "rebuild", "release", "rollback", "skip"];

/// The commands in a comment, in their order; for what looks like one and is none, what is wrong with it.
#[must_use]
pub fn parse(body: &str, now: Timestamp) -> Vec<Result<Command, String>> {
    let arguments = |line: &str| {
        let rest = line.strip_prefix(PREFIX)?;
        (rest.is_empty() || rest.starts_with(char::is_whitespace)).then(|| command(rest, now))
    };
    visible_lines(body).into_iter().filter_map(arguments).take(MOST).collect()
}

/// The lines outside of fenced code and of comments in HTML. Quotes and indented code do not start with a command.
fn visible_lines(body: &str) -> Vec<&str> {
    let mut visible = Vec::new();
    let mut fence: Option<(char, usize)> = None;
    let mut is_hidden = false;
    for line in body.lines() {
        let mark = fence_of(line);
        match (fence, mark) {
            _ if is_hidden => is_hidden = !line.contains("-->"),
            (Some((character, length)), Some((found, long, is_bare))) => {
                if found == character && long >= length && is_bare {
                    fence = None;
                }
            }
            (Some(_), None) => {}
            (None, Some((character, length, _))) => fence = Some((character, length)),
            (None, None) => {
                is_hidden = line.rsplit_once("<!--").is_some_and(|(_, rest)| !rest.contains("-->"));
                visible.push(line);
            }
        }
    }
    visible
}

/// The character of a fence, how long it is, and whether nothing follows it.
fn fence_of(line: &str) -> Option<(char, usize, bool)> {
    let text = line.trim_start_matches(' ');
    let character = text.chars().next().filter(|character| matches!(character, '`' | '~'))?;
    let rest = text.trim_start_matches(character);
    let length = text.len() - rest.len();
    let is_fence = length >= 3 && line.len() - text.len() < 4 && !(character == '`' && rest.contains('`'));
    is_fence.then(|| (character, length, rest.trim().is_empty()))
}

/// What follows the verb, taken apart piece by piece.
struct Arguments<'a> {
    verb: &'a str,
    words: Vec<&'a str>,
    why: Option<String>,
}

fn command(rest: &str, now: Timestamp) -> Result<Command, String> {
    let mut words: Vec<&str> = rest.split_whitespace().collect();
    let mut why = None;
    if let Some(at) = words.iter().position(|word| matches!(*word, "because" | "--")) {
        let reason = words.split_off(at);
        let reason: Vec<&str> = reason.into_iter().skip(1).collect();
        why = (!reason.is_empty()).then(|| reason.join(" "));
    }
    if words.is_empty() {
        return Err(format!("Say what is to be done: {}.", verbs()));
    }
    let verb = words.remove(0);
    let mut arguments = Arguments { verb, words, why };
    let command = arguments.command(now)?;
    arguments.end()?;
    Ok(command)
}

impl<'a> Arguments<'a> {
    fn command(&mut self, now: Timestamp) -> Result<Command, String> {
        Ok(match self.verb {
            "rebuild" => Command::Rebuild,
            "merge" => Command::Merge,
            "explain" => Command::Explain,
            "hold" => {
                let until = self.until(now)?;
                Command::Hold { target: self.target()?, until, why: self.why.take() }
            }
            "freeze" => {
                let until = self.until(now)?;
                let environment = match self.environment()? {
                    Some(environment) => Some(environment),
                    None => self.word().map(name).transpose()?,
                };
                Command::Freeze { environment, until, why: self.why.take() }
            }
            "release" => {
                let environment = self.environment()?;
                let id = self.words.iter().position(|word| is_hold_id(word)).map(|at| self.words.remove(at));
                let id = id.map(name::<HoldId>).transpose()?;
                let entry = self.word().map(name).transpose()?;
                Command::Release { target: Target { environment, entry }, id }
            }
            "skip" => {
                let (target, version) = self.target_and_version()?;
                Command::Skip { target, version }
            }
            "rollback" => {
                let named = self.after(&["to"])?.map(str::to_owned);
                let (target, version) = self.target_and_version()?;
                Command::Rollback { target, version: named.or(version), why: self.why.take() }
            }
            "promote" => {
                let (target, version) = self.target_and_version()?;
                let why = self.why.take().ok_or("Say why after `because`: it passes over gates.")?;
                Command::Promote { target, version, why: Some(why) }
            }
            other => return Err(unknown(other)),
        })
    }

    fn word(&mut self) -> Option<&'a str> {
        (!self.words.is_empty()).then(|| self.words.remove(0))
    }

    /// The word behind one of these, both taken out.
    fn after(&mut self, keys: &[&str]) -> Result<Option<&'a str>, String> {
        let Some(at) = self.words.iter().position(|word| keys.contains(word)) else { return Ok(None) };
        let key = self.words.remove(at);
        if at < self.words.len() {
            return Ok(Some(self.words.remove(at)));
        }
        Err(format!("Something is missing after `{key}`."))
    }

    /// `in prod`; for a promotion also `to prod`.
    fn environment(&mut self) -> Result<Option<EnvironmentName>, String> {
        let keys: &[&str] = if self.verb == "promote" { &["in", "to"] } else { &["in"] };
        self.after(keys)?.map(name).transpose()
    }

    fn target(&mut self) -> Result<Target, String> {
        let environment = self.environment()?;
        let entry = self.word().map(name).transpose()?;
        Ok(Target { environment, entry })
    }

    /// An entry, a version, or both. Which one a single word is, is known once the entries are; here it goes by its looks.
    fn target_and_version(&mut self) -> Result<(Target, Option<String>), String> {
        let environment = self.environment()?;
        let first = self.word().map(str::to_owned);
        let second = self.word().map(str::to_owned);
        let (entry, version) = match (first, second) {
            (Some(only), None) if looks_like_version(&only) => (None, Some(only)),
            other => other,
        };
        if let Some(version) = &version {
            version.parse::<Tag>().map_err(|error| sentence(&error.to_string()))?;
        }
        let entry: Option<EntryName> = entry.as_deref().map(name).transpose()?;
        Ok((Target { environment, entry }, version))
    }

    fn until(&mut self, now: Timestamp) -> Result<Until, String> {
        let Some(until) = self.after(&["until", "for"])? else { return Ok(Until::Released) };
        if until == "newer" {
            return Ok(until_newer());
        }
        if let Ok(length) = until.parse::<Duration>() {
            return Ok(Until::Time(now.plus(length)));
        }
        until.parse().map(Until::Time).map_err(|_| {
            format!(
                "`{}` is not an end: write a point in time (`2026-11-21T09:30:00Z`), a length of time (`2h`), or `newer`.",
                quoted(until)
            )
        })
    }

    fn end(&self) -> Result<(), String> {
        match (self.words.first(), &self.why) {
            (Some(word), _) => Err(format!("`{}` is not understood after `{}`.", quoted(word), self.verb)),
            (None, Some(_)) => Err(format!("`{}` needs no reason.", self.verb)),
            (None, None) => Ok(()),
        }
    }
}

/// `until newer`: newer than what, is known once the command is carried out. No version has this digest.
fn until_newer() -> Until {
    let digest = format!("sha256:{}", "0".repeat(64));
    match ("newer".parse(), digest.parse()) {
        (Ok(tag), Ok(digest)) => Until::NewerThan(Version { tag, digest }),
        _ => Until::Released,
    }
}

/// Whether it says `until newer` without saying newer than what.
pub(crate) fn is_until_newer(until: &Until) -> bool {
    *until == until_newer()
}

fn is_hold_id(word: &str) -> bool {
    let hex = |rest: &str| rest.len() == 16 && rest.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    word.strip_prefix("h-").is_some_and(hex)
}

fn looks_like_version(word: &str) -> bool {
    let number = word.strip_prefix(['v', 'V']).unwrap_or(word);
    number.starts_with(|character: char| character.is_ascii_digit())
}

fn name<N>(word: &str) -> Result<N, String>
where
    N: std::str::FromStr,
    N::Err: std::fmt::Display,
{
    word.parse().map_err(|error: N::Err| sentence(&error.to_string()))
}

fn sentence(error: &str) -> String {
    format!("{}.", shown(error))
}

/// Fit to stand between backticks.
fn quoted(word: &str) -> String {
    shown(word).replace('`', "'")
}

fn verbs() -> String {
    VERBS.map(|verb| format!("`{verb}`")).join(", ")
}

fn unknown(verb: &str) -> String {
    let lower = verb.to_lowercase();
    let nearest = VERBS.iter().map(|known| (distance(&lower, known), known)).min();
    let hint = match nearest {
        Some((0..=2, known)) => format!(" Did you mean `{known}`?"),
        _ => String::new(),
    };
    format!("`{}` is not a command.{hint} There are: {}.", quoted(verb), verbs())
}

/// How many letters have to be put in, left out or replaced.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    // Longer words are none of ours.
    for (index, letter) in left.chars().take(40).enumerate() {
        let mut next = vec![index + 1];
        for (pair, other) in row.windows(2).zip(&right) {
            let [diagonal, above] = pair else { continue };
            let before = next.last().copied().unwrap_or_default();
            let replaced = diagonal + usize::from(letter != *other);
            next.push(replaced.min(above + 1).min(before + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

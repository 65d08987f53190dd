//! The proof that an edit changed what it was meant to and nothing else.
//!
//! Two ways, both needed: what a YAML, JSON or TOML document says is compared value by value; and every reference is
//! looked for again, in every format: the same places must name the same images, with other versions only where an edit
//! was.

use std::ops::Range;

use tagboat_model::{Edit, Reference, Scalar};

use crate::{
    Claim, Refusal, claim,
    edit::Names,
    find, format,
    yaml::{self, Content, template},
};

/// A file before and after.
pub(crate) struct Edited<'e> {
    pub(crate) path: &'e str,
    pub(crate) before: &'e str,
    pub(crate) after: &'e str,
    /// What was put in, in the order of the file.
    pub(crate) edits: &'e [Edit],
    /// What image entries say of places in it.
    pub(crate) claims: &'e [&'e Claim],
    pub(crate) names: Names,
}

pub(crate) fn prove(edited: &Edited<'_>) -> Result<(), Refusal> {
    let Edited { path, before, after, edits, .. } = edited;
    if edits.is_empty() {
        return Ok(());
    }
    if claim::is_toml(path) {
        claim::prove_toml(before, after, edits)?;
    } else if find::is_candidate(path) && !format::is_dockerfile(path) {
        same_documents(edited)?;
        still_json(path, before, after)?;
    }
    same_references(edited)
}

fn differs() -> Refusal {
    Refusal::new("more than the intended value would change")
}

fn contents(text: &str) -> Result<Vec<Content>, Refusal> {
    let plain = yaml::content(text);
    let masked = if plain.is_err() && template::is_template(text) { template::mask(text) } else { None };
    masked.map_or(plain, |masked| yaml::content(&masked)).map_err(|unreadable| Refusal(unreadable.to_string()))
}

/// Everything but the edited scalars says the same, and those say what was put in. An insertion adds its own keys and
/// value, and nothing else.
fn same_documents(edited: &Edited<'_>) -> Result<(), Refusal> {
    let Edited { before, after, edits, claims, .. } = *edited;
    let (old, new) = (contents(before)?, contents(after)?);
    let mut new = new.into_iter();
    let mut done = 0;
    let mut shift: isize = 0;
    for was in &old {
        let mut is = new.next().ok_or_else(differs)?;
        let span = match was {
            Content::Scalar { span, .. } => span.clone(),
            Content::Other(_) => 0..0,
        };
        // Insertions come in whole before what follows them.
        while let Some(edit) = edits.get(done).filter(|edit| edit.span.is_empty() && inserted_by(edit, shift, &is)) {
            is = skip_insertion(edit, shift, is, &mut new)?;
            shift += edit.text.len().cast_signed();
            done += 1;
        }
        // A regular expression may speak of a comment: everything else says the same then.
        while let Some(edit) = edits.get(done).filter(|edit| !edit.span.is_empty() && edit.span.end <= span.start) {
            if claims.is_empty() {
                return Err(differs());
            }
            shift += edit.text.len().cast_signed() - edit.span.len().cast_signed();
            done += 1;
        }
        let inside = edits
            .get(done..)
            .unwrap_or_default()
            .iter()
            .take_while(|edit| !edit.span.is_empty() && touches(edit, &span));
        let inside: Vec<&Edit> = inside.collect();
        if inside.is_empty() || matches!(was, Content::Other(_)) {
            if !was.says(&is) {
                return Err(differs());
            }
            continue;
        }
        edited_scalar(before, was, &is, &inside)?;
        done += inside.len();
        for edit in inside {
            shift += edit.text.len().cast_signed() - edit.span.len().cast_signed();
        }
    }
    // Behind the last thing that is said there are only comments.
    let all_done =
        done == edits.len() || (!claims.is_empty() && edits.iter().skip(done).all(|edit| !edit.span.is_empty()));
    if new.next().is_none() && all_done { Ok(()) } else { Err(differs()) }
}

/// What other programs read as JSON, they still do.
fn still_json(path: &str, before: &str, after: &str) -> Result<(), Refusal> {
    let is_json = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    if path.ends_with(".json") && is_json(before) && !is_json(after) {
        return Err(Refusal::new("it would be JSON no longer"));
    }
    Ok(())
}

fn touches(edit: &Edit, span: &Range<usize>) -> bool {
    !span.is_empty() && edit.span.start < span.end && span.start < edit.span.end
}

/// Whether something that the new text says stands within what an insertion put there.
fn inserted_by(edit: &Edit, shift: isize, content: &Content) -> bool {
    let Some(start) = edit.span.start.checked_add_signed(shift) else { return false };
    matches!(content, Content::Scalar { span, .. } if !span.is_empty() && start <= span.start && span.end <= start + edit.text.len())
}

/// Pass over what an insertion added: a key with its value, which may be a mapping of one key again, and so on.
fn skip_insertion(
    edit: &Edit,
    shift: isize,
    first: Content,
    rest: &mut impl Iterator<Item = Content>,
) -> Result<Content, Refusal> {
    let (mut depth, mut mappings, mut scalars) = (0_usize, 0, 0);
    let mut content = first;
    loop {
        match &content {
            Content::Scalar { .. } if inserted_by(edit, shift, &content) => scalars += 1,
            Content::Other(event) if scalars > 0 && event.starts_with("MappingStart") => {
                (depth, mappings) = (depth + 1, mappings + 1);
            }
            Content::Other(event) if depth > 0 && event.starts_with("MappingEnd") => depth -= 1,
            _ => break,
        }
        content = rest.next().ok_or_else(differs)?;
    }
    if depth == 0 && scalars == mappings + 2 { Ok(content) } else { Err(differs()) }
}

/// The scalar says what the edits put into it, and is still of the same kind.
fn edited_scalar(before: &str, was: &Content, is: &Content, edits: &[&Edit]) -> Result<(), Refusal> {
    let (
        Content::Scalar { span, text: old, anchor, tag },
        Content::Scalar { text: new, anchor: new_anchor, tag: new_tag, .. },
    ) = (was, is)
    else {
        return Err(differs());
    };
    // An edit that takes away a YAML tag (`!!int`) replaces the whole scalar with it.
    let untyped = edits.iter().any(|edit| edit.span.start < span.start) && new_tag.is_none();
    if anchor != new_anchor || (tag != new_tag && !untyped) {
        return Err(differs());
    }
    if let [edit] = edits
        && edit.span.start <= span.start
        && edit.span.end == span.end
    {
        let meaning = unquoted(&edit.text);
        return if new == meaning { Ok(()) } else { Err(differs()) };
    }
    // Parts of a longer text: the same with these parts replaced, one after the other.
    let (mut expected, mut copied, mut passed) = (String::new(), 0, span.start);
    for edit in edits {
        let fragment = before.get(edit.span.clone()).filter(|fragment| !fragment.is_empty()).ok_or_else(differs)?;
        // Since the edit before, it stands in what the scalar says as often as in its bytes.
        let earlier = before.get(passed..edit.span.start).ok_or_else(differs)?.matches(fragment).count();
        let rest = old.get(copied..).ok_or_else(differs)?;
        let (at, _) = rest.match_indices(fragment).nth(earlier).ok_or_else(differs)?;
        expected.push_str(rest.get(..at).ok_or_else(differs)?);
        expected.push_str(&edit.text);
        copied += at + fragment.len();
        passed = edit.span.end;
    }
    expected.push_str(old.get(copied..).ok_or_else(differs)?);
    if *new == expected { Ok(()) } else { Err(differs()) }
}

fn unquoted(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

/// The same places name the same images; versions differ only where an edit was. What an insertion brought is new.
fn same_references(edited: &Edited<'_>) -> Result<(), Refusal> {
    let Edited { path, before, after, edits, claims, names } = *edited;
    let look = |text: &str| find(path, text.as_bytes(), claims).map_err(|unreadable| Refusal(unreadable.to_string()));
    let (old, new) = (look(before)?.references, look(after)?.references);
    let spans: Vec<Range<usize>> = edits.iter().map(|edit| edit.span.clone()).collect();
    let (absent, old): (Vec<_>, Vec<_>) = old.iter().partition(|reference| {
        let added = |scalar: &&Scalar| scalar.span.is_empty() && spans.contains(&scalar.span);
        reference.scalars().iter().any(added)
    });
    let inserted = inserted_regions(edits);
    let (came, new): (Vec<_>, Vec<_>) = new.iter().partition(|reference| touched(reference, &inserted));
    if old.len() != new.len() || absent.is_empty() != came.is_empty() {
        return Err(differs());
    }
    for (was, is) in old.iter().zip(&new) {
        let same_place = was.location == is.location && was.format == is.format;
        let same_name = was.image == is.image || names == Names::Change;
        let same_version = was.tag == is.tag && was.digest == is.digest && same_name;
        if !same_place || !(same_version || (touched(was, &spans) && says_what_was_put_in(was, is, edits))) {
            return Err(differs());
        }
    }
    Ok(())
}

/// Whether each of its scalars says what an edit put there, or what it said before.
fn says_what_was_put_in(was: &Reference, is: &Reference, edits: &[Edit]) -> bool {
    let (old, new) = (was.scalars(), is.scalars());
    let expected = |scalar: &Scalar| {
        let at = edits.partition_point(|edit| edit.span.start < scalar.span.start);
        let edit = edits.get(at).filter(|edit| edit.span == scalar.span);
        edit.map_or(scalar.value.clone(), |edit| unquoted(&edit.text).to_owned())
    };
    old.len() == new.len() && old.iter().zip(&new).all(|(old, new)| new.value == expected(old))
}

/// Whether one of its scalars overlaps one of these spans, which are sorted and do not overlap.
fn touched(reference: &Reference, spans: &[Range<usize>]) -> bool {
    let overlaps = |scalar: &&Scalar| {
        let first = spans.partition_point(|span| span.end <= scalar.span.start);
        spans.get(first).is_some_and(|span| span.start < scalar.span.end)
    };
    reference.scalars().iter().any(overlaps)
}

/// Where insertions stand in the new text.
fn inserted_regions(edits: &[Edit]) -> Vec<Range<usize>> {
    let mut shift: isize = 0;
    let mut regions = Vec::new();
    for edit in edits {
        let start = edit.span.start.saturating_add_signed(shift);
        if edit.span.is_empty() {
            regions.push(start..start + edit.text.len());
        }
        shift += edit.text.len().cast_signed() - edit.span.len().cast_signed();
    }
    regions
}

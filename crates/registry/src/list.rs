//! The list of tags of a repository: page by page to its end, or an error.
//!
//! Pages that come with an `ETag` are kept in memory, so that the next list costs the registry little where it
//! knows `If-None-Match` (RFC 9110 section 13.1.2). Every list asks for every page again: what is kept is used only when
//! the registry says, to this very request and its credential, that it still holds.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lru::LruCache;
use reqwest::{Method, StatusCode, header};
use serde::Deserialize;
use tagboat_model::{ImageName, Tag};

use crate::{
    client::{Answer, Ask, Client},
    fault::Fault,
};

const TAGS_A_PAGE: usize = 1000;
/// For messages.
const LIST: &str = "the list of tags";
/// More tags than this are no list that anybody chooses from.
const MOST_TAGS: usize = 1_000_000;
/// Registries may answer with fewer tags a page than we ask for.
const MOST_PAGES: usize = 10_000;
/// So many pages in a row without a new tag are taken for a list without an end.
const MOST_IDLE_PAGES: usize = 50;
/// For the exchanges of all pages together; a list does not run out of time while it waits for its turn.
const LONGEST_LIST: Duration = Duration::from_secs(300);
/// Some registries send all tags at once, whatever they are asked for: 100,000 tags of the longest kind.
const LARGEST_PAGE: usize = 16 * 1024 * 1024;
const LONGEST_ETAG: usize = 256;

/// Every tag, each once, sorted.
pub(crate) async fn all(client: &Client, pages: &Pages, image: &ImageName) -> Result<Vec<Tag>, Fault> {
    let mut path = format!("tags/list?n={TAGS_A_PAGE}");
    let (mut tags, mut visited, mut idle) = (BTreeSet::new(), HashSet::new(), 0);
    let mut spent = Duration::ZERO;
    loop {
        let (page, time) = page(client, pages, image, &path).await?;
        spent += time;
        let before = tags.len();
        tags.extend(page.tags.iter().cloned());
        idle = if tags.len() == before { idle + 1 } else { 0 };
        let Some(next) = &page.next else { return Ok(tags.into_iter().collect()) };
        visited.insert(std::mem::replace(&mut path, next.clone()));
        if visited.contains(&path) {
            return Err(Fault::new("the list of tags leads back to a page that was read already"));
        }
        if spent > LONGEST_LIST {
            let detail = format!("the list of tags was not complete after {} s", LONGEST_LIST.as_secs());
            return Err(Fault::new(detail));
        }
        if tags.len() > MOST_TAGS || visited.len() >= MOST_PAGES || idle >= MOST_IDLE_PAGES {
            let detail = format!("the list of tags does not end: {} tags on {} pages", tags.len(), visited.len());
            return Err(Fault::new(detail));
        }
    }
}

/// One page, and how long exchanges for it took.
async fn page(client: &Client, pages: &Pages, image: &ImageName, path: &str) -> Result<(Page, Duration), Fault> {
    let kept = pages.get(image, path);
    let ask = Ask { largest: LARGEST_PAGE, etag: kept.as_ref().map(|(etag, _)| etag.as_str()) };
    let answer = client.ask(Method::GET, image, path, "application/json", ask).await?;
    match (answer.status, kept) {
        (StatusCode::NOT_MODIFIED, Some((_, page))) => return Ok((page, answer.spent)),
        (StatusCode::NOT_FOUND, _) => {
            let fault = Fault::new("the registry knows no such repository, or the credential may not see it");
            return Err(fault.of_repository());
        }
        _ => {}
    }
    let mut next = None;
    for link in answer.headers.get_all(header::LINK) {
        next = next.or(next_page(link.to_str().map_err(|_| unreadable_link(LIST))?)?);
    }
    // A tag outside the grammar cannot be deployed, so it is no candidate.
    let tags = tags_of(&answer.body)?.iter().filter_map(|tag| tag.parse().ok()).collect();
    let page = Page { tags, next };
    if let Some(etag) = etag(&answer) {
        pages.put(image, path, etag, page.clone());
    }
    Ok((page, answer.spent))
}

fn etag(answer: &Answer) -> Option<String> {
    let etag = answer.headers.get(header::ETAG)?.to_str().ok()?;
    (!etag.is_empty() && etag.len() <= LONGEST_ETAG).then(|| etag.to_owned())
}

/// One page, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    tags: Arc<[Tag]>,
    /// The path of the page after it.
    next: Option<String>,
}

/// Pages with their `ETag`, by image and path. Bounded by tags; what was not used for longest goes first.
pub(crate) struct Pages {
    kept: Mutex<Kept>,
    most: usize,
}

struct Kept {
    pages: LruCache<(ImageName, String), (String, Page)>,
    weight: usize,
}

impl Pages {
    /// Keep at most `most` tags. A page counts one more than its tags.
    pub(crate) fn new(most: usize) -> Self {
        Self { kept: Mutex::new(Kept { pages: LruCache::unbounded(), weight: 0 }), most }
    }

    fn get(&self, image: &ImageName, path: &str) -> Option<(String, Page)> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.pages.get(&(image.clone(), path.to_owned())).cloned()
    }

    fn put(&self, image: &ImageName, path: &str, etag: String, page: Page) {
        let weight = |page: &Page| page.tags.len() + 1;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.weight += weight(&page);
        if let Some((_, old)) = kept.pages.put((image.clone(), path.to_owned()), (etag, page)) {
            kept.weight -= weight(&old);
        }
        while kept.weight > self.most {
            let Some((_, (_, old))) = kept.pages.pop_lru() else { break };
            kept.weight -= weight(&old);
        }
    }
}

/// A registry answers `null` for a repository without tags; without the key it is no list.
#[derive(Deserialize)]
struct PageFile {
    #[serde(deserialize_with = "Option::deserialize")]
    tags: Option<Vec<String>>,
}

fn tags_of(bytes: &[u8]) -> Result<Vec<String>, Fault> {
    let page: Result<PageFile, _> = serde_json::from_slice(bytes);
    let fault = |error| Fault::new("the list of tags is not what the specification says").because(error);
    Ok(page.map_err(fault)?.tags.unwrap_or_default())
}

/// `</v2/acme/web/tags/list?last=b&n=100>; rel="next"` becomes `tags/list?last=b&n=100`.
fn next_page(link: &str) -> Result<Option<String>, Fault> {
    Ok(next_query(link, LIST)?.map(|query| format!("tags/list?{query}")))
}

/// The query of the next page of a list (RFC 8288). Only it is taken over, so that a registry cannot send us elsewhere.
pub(crate) fn next_query<'l>(link: &'l str, list: &str) -> Result<Option<&'l str>, Fault> {
    let mut rest = link;
    while let Some((target, after)) = rest.split_once('<').and_then(|(_, rest)| rest.split_once('>')) {
        // Targets may hold commas, so that the next link begins at its bracket.
        if is_next(after.split('<').next().unwrap_or_default()) {
            let (_, query) = target.split_once('?').ok_or_else(|| unreadable_link(list))?;
            return Ok(Some(query));
        }
        rest = after;
    }
    if is_next(rest) { Err(unreadable_link(list)) } else { Ok(None) }
}

/// `; rel="next"`, `; title=x; rel="prev next"`.
fn is_next(parameters: &str) -> bool {
    let values = parameters.split([';', ',']).filter_map(|parameter| parameter.split_once('='));
    let mut relations = values.filter(|(name, _)| name.trim().eq_ignore_ascii_case("rel"));
    relations.any(|(_, value)| {
        let value = value.trim().trim_matches('"');
        value.split_ascii_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"))
    })
}

fn unreadable_link(list: &str) -> Fault {
    Fault::new(format!("{list} names a next page that cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_always_at_the_same_place() {
        let link = r#"<https://evil.example/v2/other/tags/list?last=1.2&n=100>; rel="next""#;
        assert_eq!(next_page(link).unwrap().unwrap(), "tags/list?last=1.2&n=100");
        assert_eq!(next_page(r#"</v2/a/tags/list?last=1>; rel="prev""#).unwrap(), None);
        let two = r#"</v2/a/tags/list?last=1>; rel="prev", </v2/a/tags/list?last=a,b&n=9>; title="x"; rel=next"#;
        assert_eq!(next_page(two).unwrap().unwrap(), "tags/list?last=a,b&n=9");
        for unreadable in [r#"</v2/a/tags/list>; rel="next""#, r#"rel="next""#, r#"</v2/a?last=1; rel="next""#] {
            assert!(next_page(unreadable).is_err(), "{unreadable}");
        }
    }

    #[test]
    fn a_page_without_tags_is_no_page() {
        assert_eq!(tags_of(br#"{"tags":null}"#).unwrap(), Vec::<String>::new());
        assert!(tags_of(b"{}").is_err() && tags_of(b"[]").is_err() && tags_of(br#"{"tags":7}"#).is_err());
    }

    #[test]
    fn what_is_kept_is_bounded_and_belongs_to_one_image_and_page() {
        let page =
            |count: usize| Page { tags: (0..count).map(|n| format!("t{n}").parse().unwrap()).collect(), next: None };
        let image = |name: &str| format!("r.example/{name}").parse::<ImageName>().unwrap();
        let pages = Pages::new(10);
        pages.put(&image("a"), "1", "e".to_owned(), page(4));
        pages.put(&image("b"), "1", "f".to_owned(), page(4));
        assert_eq!(pages.get(&image("a"), "1"), Some(("e".to_owned(), page(4))));
        assert_eq!((pages.get(&image("a"), "2"), pages.get(&image("c"), "1")), (None, None));
        pages.put(&image("c"), "1", "g".to_owned(), page(4));
        assert_eq!(pages.get(&image("b"), "1"), None, "used longest ago");
        pages.put(&image("a"), "1", "h".to_owned(), page(1));
        pages.put(&image("d"), "1", "i".to_owned(), page(2));
        assert!(pages.get(&image("a"), "1").is_some() && pages.get(&image("c"), "1").is_some());
        pages.put(&image("huge"), "1", "j".to_owned(), page(100));
        assert_eq!(pages.get(&image("huge"), "1"), None);
        assert_eq!(pages.kept.lock().unwrap().weight, 0);
    }
}

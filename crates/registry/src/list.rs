//! The list of tags of a repository: page by page to its end, or an error.
//!
//! Pages that come with an `ETag` are kept in memory, so that the next list costs the registry little where it
//! knows `If-None-Match` (RFC 9110 section 13.1.2). Every list asks for every page again: what is kept is used only when
//! the registry says, to this very request and its credential, that it still holds. An `ETag` may stand for the tags of
//! a page and not for its `Link`, so that a page which may have been full when it was the last is not kept.

use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lru::LruCache;
use reqwest::{
    Method, StatusCode,
    header::{self, HeaderMap},
};
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
/// In bytes. A tag has at most 128 characters; some registries put a state of their own into it.
const LONGEST_QUERY: usize = 2048;
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
    let list = all_pages(client, pages, image).await;
    if list.is_err() {
        // Pages that no longer fit together must not stay together: the next list is read afresh.
        pages.forget(image);
    }
    list
}

async fn all_pages(client: &Client, pages: &Pages, image: &ImageName) -> Result<Vec<Tag>, Fault> {
    let mut path = format!("tags/list?n={TAGS_A_PAGE}");
    let (mut tags, mut visited, mut idle) = (BTreeSet::new(), HashSet::new(), 0);
    let (mut spent, mut full) = (Duration::ZERO, TAGS_A_PAGE);
    loop {
        let (page, time) = page(client, pages, image, &path, full).await?;
        spent += time;
        full = full.min(page.listed);
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

/// One page, and how long exchanges for it took. `full`: a page of so many tags may be followed by another.
async fn page(
    client: &Client,
    pages: &Pages,
    image: &ImageName,
    path: &str,
    full: usize,
) -> Result<(Page, Duration), Fault> {
    let kept = pages.get(image, path);
    let ask = Ask { largest: LARGEST_PAGE, etag: kept.as_ref().map(|(etag, _)| etag.as_str()), ..Ask::default() };
    let answer = client.ask(Method::GET, image, path, "application/json", ask).await?;
    match (answer.status, kept) {
        (StatusCode::NOT_MODIFIED, Some((etag, mut page))) => {
            if let Some(next) = next_page(&answer.headers)? {
                page.next = Some(next);
                pages.put(image, path, etag, page.clone());
            }
            return Ok((page, answer.spent));
        }
        (StatusCode::NOT_FOUND, _) => {
            let fault = Fault::new("the registry knows no such repository, or the credential may not see it");
            return Err(fault.of_repository());
        }
        _ => {}
    }
    let next = next_page(&answer.headers)?;
    let found = tags_of(&answer.body)?;
    // A tag outside the grammar cannot be deployed, so it is no candidate.
    let tags = found.iter().filter_map(|tag| tag.parse().ok()).collect();
    let page = Page { tags, listed: found.len(), next };
    match etag(&answer).filter(|_| page.next.is_some() || page.listed < full) {
        Some(etag) => pages.put(image, path, etag, page.clone()),
        None => pages.remove(image, path),
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
    /// How many the registry listed, with those that are none.
    listed: usize,
    /// The path of the page after it.
    next: Option<String>,
}

/// Pages with their `ETag`, by image and path. Bounded by bytes; what was not used for longest goes first.
pub(crate) struct Pages {
    kept: Mutex<Kept>,
    most: usize,
}

struct Kept {
    pages: LruCache<(ImageName, String), (String, Page)>,
    weight: usize,
}

impl Pages {
    /// Keep at most `most` bytes, roughly.
    pub(crate) fn new(most: usize) -> Self {
        Self { kept: Mutex::new(Kept { pages: LruCache::unbounded(), weight: 0 }), most }
    }

    fn get(&self, image: &ImageName, path: &str) -> Option<(String, Page)> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.pages.get(&(image.clone(), path.to_owned())).cloned()
    }

    fn put(&self, image: &ImageName, path: &str, etag: String, page: Page) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&(image.clone(), path.to_owned()));
        kept.weight += weight(path, &page);
        kept.pages.put((image.clone(), path.to_owned()), (etag, page));
        while kept.weight > self.most {
            let Some(((_, path), (_, old))) = kept.pages.pop_lru() else { break };
            kept.weight -= weight(&path, &old);
        }
    }

    fn remove(&self, image: &ImageName, path: &str) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&(image.clone(), path.to_owned()));
    }

    /// Every page of an image.
    fn forget(&self, image: &ImageName) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let of_image: Vec<_> = kept.pages.iter().map(|(key, _)| key).filter(|(of, _)| of == image).cloned().collect();
        of_image.iter().for_each(|key| kept.remove(key));
    }
}

impl Kept {
    fn remove(&mut self, key: &(ImageName, String)) {
        if let Some((_, old)) = self.pages.pop(key) {
            self.weight -= weight(&key.1, &old);
        }
    }
}

/// What a page takes of memory, in bytes, with what surrounds it.
fn weight(path: &str, page: &Page) -> usize {
    const ENTRY: usize = 512;
    let tags: usize = page.tags.iter().map(|tag| size_of::<Tag>() + tag.as_str().len()).sum();
    ENTRY + path.len() + page.next.as_ref().map_or(0, String::len) + tags
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
fn next_page(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    Ok(next_query(headers, LIST)?.map(|query| format!("tags/list?{query}")))
}

/// The query of the next page of a list, by any `Link` of an answer. Only it is taken over, so that a registry cannot
/// send us elsewhere.
///
/// # Errors
/// When a next page is named that cannot be read, or by a query longer than 2 KiB: tens of thousands are remembered.
pub(crate) fn next_query(headers: &HeaderMap, list: &str) -> Result<Option<String>, Fault> {
    let mut next = None;
    for link in headers.get_all(header::LINK) {
        next = next.or(query_of(link.to_str().map_err(|_| unreadable_link(list))?, list)?);
    }
    match next {
        Some(query) if query.len() > LONGEST_QUERY => {
            Err(Fault::new(format!("{list} names a next page by more than {LONGEST_QUERY} bytes")))
        }
        next => Ok(next.map(str::to_owned)),
    }
}

/// The query of the next page, by one `Link` (RFC 8288).
fn query_of<'l>(link: &'l str, list: &str) -> Result<Option<&'l str>, Fault> {
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
        let by_headers = next_page;
        let next_page = |link: &str| {
            let links =
                [r#"</v2/a/tags/list?last=0>; rel="prev""#, link].map(|link| (header::LINK, link.parse().unwrap()));
            by_headers(&links.into_iter().collect())
        };
        let link = r#"<https://evil.example/v2/other/tags/list?last=1.2&n=100>; rel="next""#;
        assert_eq!(next_page(link).unwrap().unwrap(), "tags/list?last=1.2&n=100");
        assert_eq!(next_page(r#"</v2/a/tags/list?last=1>; rel="prev""#).unwrap(), None);
        let two = r#"</v2/a/tags/list?last=1>; rel="prev", </v2/a/tags/list?last=a,b&n=9>; title="x"; rel=next"#;
        assert_eq!(next_page(two).unwrap().unwrap(), "tags/list?last=a,b&n=9");
        for unreadable in [r#"</v2/a/tags/list>; rel="next""#, r#"rel="next""#, r#"</v2/a?last=1; rel="next""#] {
            assert!(next_page(unreadable).is_err(), "{unreadable}");
        }
        let long = |length: usize| next_page(&format!("</x?{}>; rel=\"next\"", "a".repeat(length)));
        assert!(long(2048).is_ok() && long(2049).is_err());
    }

    #[test]
    fn a_page_without_tags_is_no_page() {
        assert_eq!(tags_of(br#"{"tags":null}"#).unwrap(), Vec::<String>::new());
        assert!(tags_of(b"{}").is_err() && tags_of(b"[]").is_err() && tags_of(br#"{"tags":7}"#).is_err());
    }

    #[test]
    fn what_is_kept_is_bounded_and_belongs_to_one_image_and_page() {
        // The name of the page after it weighs most.
        let page = |length: usize| {
            let (tags, next): (Arc<[Tag]>, _) = (["a".parse().unwrap()].into(), Some("n".repeat(length)));
            Page { tags, listed: 1, next }
        };
        let image = |name: &str| format!("r.example/{name}").parse::<ImageName>().unwrap();
        let pages = Pages::new(10_000);
        pages.put(&image("a"), "1", "e".to_owned(), page(4000));
        pages.put(&image("b"), "1", "f".to_owned(), page(4000));
        assert_eq!(pages.get(&image("a"), "1"), Some(("e".to_owned(), page(4000))));
        assert_eq!((pages.get(&image("a"), "2"), pages.get(&image("c"), "1")), (None, None));
        pages.put(&image("c"), "1", "g".to_owned(), page(4000));
        assert_eq!(pages.get(&image("b"), "1"), None, "used longest ago");
        pages.put(&image("a"), "1", "h".to_owned(), page(1));
        pages.put(&image("d"), "1", "i".to_owned(), page(2000));
        assert!(pages.get(&image("a"), "1").is_some() && pages.get(&image("c"), "1").is_some());
        pages.put(&image("c"), "2", "i".to_owned(), page(1));
        pages.forget(&image("c"));
        assert_eq!((pages.get(&image("c"), "1"), pages.get(&image("c"), "2")), (None, None));
        assert!(pages.get(&image("a"), "1").is_some());
        pages.put(&image("huge"), "1", "j".to_owned(), page(100_000));
        assert_eq!(pages.get(&image("huge"), "1"), None);
        assert_eq!(pages.kept.lock().unwrap().weight, 0);
    }

    #[test]
    fn tags_weigh_their_bytes() {
        let tags = |tags: &[String]| tags.iter().map(|tag| tag.parse().unwrap()).collect();
        let weigh = |texts: &[String]| weight("", &Page { tags: tags(texts), listed: texts.len(), next: None });
        let (none, short, long) = (weigh(&[]), weigh(&["a".to_owned()]), weigh(&["a".repeat(128)]));
        assert!(none > 0 && short >= none + 25 && long == short + 127, "{none} {short} {long}");
    }
}

//! The headers of a request, looked up without regard to case.

use std::collections::BTreeMap;

/// Header names in lower case with their values. Where a name is repeated the first value counts.
#[derive(Debug, Clone, Default)]
pub struct Headers(BTreeMap<String, String>);

impl Headers {
    /// The value of `name`, which is given in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl<N: AsRef<str>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut headers = BTreeMap::new();
        for (name, value) in pairs {
            headers.entry(name.as_ref().to_ascii_lowercase()).or_insert_with(|| value.into());
        }
        Self(headers)
    }
}

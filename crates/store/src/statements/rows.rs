//! Reading rows into the types of the model. A value that does not read back is an error, never a default.

use std::str::FromStr;

use sqlx::Row as _;
use tagboat_model::{BranchKey, Timestamp};
use tagboat_ports::BlobId;

use super::dialect::Row;

/// A text column as a type of the model.
pub(crate) fn parsed<T>(row: &Row, column: &str) -> Result<T, sqlx::Error>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: String = row.try_get(column)?;
    text.parse().map_err(|error| damaged(column, error))
}

/// The same for a column that may be empty.
pub(crate) fn optional<T>(row: &Row, column: &str) -> Result<Option<T>, sqlx::Error>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| text.parse().map_err(|error| damaged(column, error))).transpose()
}

/// A JSON column.
pub(crate) fn json<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<T, sqlx::Error> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|error| damaged(column, error))
}

/// The same for a column that may be empty.
pub(crate) fn optional_json<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<Option<T>, sqlx::Error> {
    let text: Option<String> = row.try_get(column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|error| damaged(column, error))).transpose()
}

/// A value as JSON text.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// A flag, which is 0 or 1 in both databases.
pub(crate) fn flag(row: &Row, column: &str) -> Result<bool, sqlx::Error> {
    row.try_get::<i64, _>(column).map(|flag| flag != 0)
}

/// A small number.
pub(crate) fn count(row: &Row, column: &str) -> Result<u32, sqlx::Error> {
    u32::try_from(row.try_get::<i64, _>(column)?).map_err(|error| damaged(column, error))
}

pub(crate) fn time(row: &Row, column: &str) -> Result<Timestamp, sqlx::Error> {
    row.try_get(column).map(Timestamp)
}

pub(crate) fn blob_id(row: &Row, column: &str) -> Result<BlobId, sqlx::Error> {
    let bytes: &[u8] = row.try_get(column)?;
    <[u8; 20]>::try_from(bytes).map(BlobId).map_err(|error| damaged(column, error))
}

pub(crate) fn branch_key(row: &Row) -> Result<BranchKey, sqlx::Error> {
    Ok(BranchKey {
        tenant: parsed(row, "tenant")?,
        repository: parsed(row, "repository")?,
        branch: parsed(row, "branch")?,
    })
}

fn damaged(column: &str, error: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: column.to_owned(), source: Box::new(error) }
}

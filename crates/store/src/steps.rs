//! How a schema moves: steps that are embedded in the program, each with the way back.

use std::borrow::Cow;

use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

/// Number, name, the way there and the way back.
pub(crate) type Step = (i64, &'static str, &'static str, &'static str);

pub(crate) fn migrator(steps: &[Step]) -> Migrator {
    let step = |number: i64, name: &'static str, direction: MigrationType, sql: &'static str| {
        Migration::new(number, Cow::Borrowed(name), direction, sql.into_sql_str(), false)
    };
    let migrations: Vec<Migration> = steps
        .iter()
        .flat_map(|(number, name, up, down)| {
            [
                step(*number, name, MigrationType::ReversibleUp, up),
                step(*number, name, MigrationType::ReversibleDown, down),
            ]
        })
        .collect();
    Migrator { migrations: Cow::Owned(migrations), ..Migrator::DEFAULT }
}

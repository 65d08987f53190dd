//! `tagboat schema`: the JSON schema of a configuration file, for editors.

use crate::{
    cli::{Schema, SchemaFile},
    exit::{Code, Failure},
    output,
};

pub(crate) fn run(arguments: &Schema) -> Result<Code, Failure> {
    let schema = match arguments.file {
        SchemaFile::Server => tagboat_settings::server_schema(),
        SchemaFile::Repository => tagboat_settings::repository_schema(),
    };
    output::line(schema.map_err(|error| Failure::failed("the schema cannot be written", &error))?);
    Ok(Code::Ok)
}

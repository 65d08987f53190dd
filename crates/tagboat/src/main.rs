//! The `tagboat` command: arguments, wiring of ports to their implementations, and what users read.
//!
//! Exit codes everywhere: 0 ok, 1 failed, 2 usage or invalid input, 3 none or ignored, 4 refused, 5 changes pending.

mod cli;
mod commands;
mod demo;
mod exit;
mod output;
mod progress;
mod secrets;
mod system;
mod wiring;

use clap::Parser as _;

use crate::{
    cli::{Arguments, Command},
    exit::Failure,
};

#[tokio::main]
async fn main() -> std::process::ExitCode {
    // clap ends the process with 2 itself when the arguments are wrong.
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Serve(arguments) => commands::serve::run(arguments).await,
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Check(arguments) => commands::check::run(&arguments),
        Command::Explain(arguments) => commands::explain::run(&arguments).await,
        Command::Schema(arguments) => commands::schema::run(&arguments),
    };
    match result {
        Ok(code) => code.into(),
        Err(Failure { code, message }) => {
            output::error(&message);
            code.into()
        }
    }
}

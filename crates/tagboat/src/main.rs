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
mod telemetry;
mod wiring;

use clap::Parser as _;

use crate::{
    cli::{Arguments, Command, Event, GithubApp, Policy},
    exit::{Code, Failure},
};

fn main() -> std::process::ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::error(&format!("the process cannot start its threads: {error}"));
            return Code::Failed.into();
        }
    };
    let code = runtime.block_on(run());
    // A Git operation that hangs must not hold up the end; what it does is taken up again after the next start.
    runtime.shutdown_background();
    code.into()
}

async fn run() -> Code {
    // clap ends the process with 2 itself when the arguments are wrong.
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Serve(arguments) => commands::serve::run(arguments).await,
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Check(arguments) => commands::check::run(&arguments),
        Command::Plan(arguments) => commands::plan::run(&arguments).await,
        Command::Update(arguments) => commands::update::run(&arguments),
        Command::References(arguments) => commands::references::run(&arguments),
        Command::Explain(arguments) => commands::explain::run(&arguments).await,
        Command::Hold(arguments) => commands::acts::hold(&arguments).await,
        Command::Freeze(arguments) => commands::acts::freeze(&arguments).await,
        Command::Release(arguments) => commands::acts::release(&arguments).await,
        Command::Skip(arguments) => commands::acts::skip(&arguments).await,
        Command::Rollback(arguments) => commands::acts::rollback(&arguments).await,
        Command::Promote(arguments) => commands::acts::promote(&arguments).await,
        Command::Status(arguments) => commands::status::run(&arguments).await,
        Command::GithubApp(GithubApp::Create(arguments)) => commands::github_app::create(&arguments).await,
        Command::Notify(arguments) => commands::notify::run(&arguments).await,
        Command::Policy(Policy::Test(arguments)) => commands::policy_test::run(&arguments).await,
        Command::Event(Event::Parse(arguments)) => commands::event_parse::run(&arguments),
        Command::Receivers(arguments) => commands::receivers::run(&arguments),
        Command::Deliveries(arguments) => commands::deliveries::run(&arguments).await,
        Command::Store(arguments) => commands::store::run(&arguments).await,
        Command::Schema(arguments) => commands::schema::run(&arguments),
    };
    match result {
        Ok(code) => code,
        Err(Failure { code, message }) => {
            output::error(&message);
            code
        }
    }
}

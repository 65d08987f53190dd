//! The arguments of `tagboat github-app`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Subcommand};

use crate::{cli::Output, commands::notify};

#[derive(Debug, Subcommand)]
pub(crate) enum GithubApp {
    /// Make a GitHub App for a server, with everything that it needs, and write down its key and its webhook's secret.
    Create(Box<GithubAppCreate>),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Your browser shows GitHub's page, on which you give the App its name and say yes; nothing else is to be filled in.\n\n\
                  Exit codes: 0 made, 1 failed or out of time, 2 invalid input, or the files are there already."
)]
pub(crate) struct GithubAppCreate {
    /// The address under which GitHub reaches the server.
    #[arg(long, value_name = "URL", value_parser = notify::server)]
    pub(crate) public_url: reqwest::Url,
    /// The organization that owns the App [default: your own account].
    #[arg(long, value_name = "NAME")]
    pub(crate) organization: Option<String>,
    /// The App's name, of which there can be only one at GitHub.
    #[arg(long, value_name = "NAME", default_value = "Tagboat")]
    pub(crate) name: String,
    /// GitHub, or a GitHub Enterprise server.
    #[arg(long, value_name = "URL", default_value = "https://github.com", value_parser = notify::server)]
    pub(crate) url: reqwest::Url,
    /// Where the page is served from which your browser goes to GitHub; this machine only.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0", value_parser = crate::commands::github_app::loopback)]
    pub(crate) listen: SocketAddr,
    /// The folder for the two files.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub(crate) directory: PathBuf,
    /// Open the browser.
    #[arg(long)]
    pub(crate) open: bool,
    /// The code with which GitHub came back, if you have one: no page is served.
    #[arg(long, value_name = "CODE", conflicts_with_all = ["open", "listen"])]
    pub(crate) code: Option<String>,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

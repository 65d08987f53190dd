//! The arguments of `tagboat deliveries`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tagboat_model::{DeliveryId, ReceiverName};

use super::Output;

#[derive(Debug, Args)]
#[command(
    after_help = "Requests that were refused, and what senders say all day long (pulls, layers, pings), are not stored but only counted: on \
                  the status page and at /api/v1/receivers.\n\nExit codes: 0 some are listed, 3 there are none, 1 failed, 2 invalid input."
)]
pub(crate) struct Deliveries {
    #[command(subcommand)]
    pub(crate) action: Option<DeliveriesAction>,
    /// Only those of this receiver.
    #[arg(long, value_name = "NAME")]
    pub(crate) receiver: Option<ReceiverName>,
    /// How many are listed, the newest first [default: 20].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: Option<u32>,
    /// The server file, which says where the database is.
    #[arg(long, global = true, env = "TAGBOAT_CONFIG", value_name = "FILE", default_value = "config/tagboat.yaml")]
    pub(crate) config: PathBuf,
    /// How the answer is written.
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeliveriesAction {
    /// Show one whole: headers, body, and what became of its events.
    Show(DeliveryShow),
    /// Take one apart again with its receiver as it is configured now, and act on what is in it.
    Replay(DeliveryReplay),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 shown, 2 there is no such delivery (with --raw: or its body was not kept), 1 failed."
)]
pub(crate) struct DeliveryShow {
    /// The delivery's id.
    pub(crate) id: DeliveryId,
    /// Write the body as it came, and nothing else.
    #[arg(long)]
    pub(crate) raw: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 there is at least one event in it, 3 there is none, 2 there is no such delivery, its body was not kept, or its \
                  receiver is gone, 1 failed."
)]
pub(crate) struct DeliveryReplay {
    /// The delivery's id.
    pub(crate) id: DeliveryId,
}

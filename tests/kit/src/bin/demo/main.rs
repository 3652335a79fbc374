//! `cargo demo`: a real Cassandra, the gateway in front of it, an issuer, people and groups over SCIM, and
//! a real driver that shows what is allowed, refused and revoked. Then it stays up for the reader to try.
//!
//! In: the command line ([`options`]). Out: the tour on standard output; exit code 0, or 1 with what went
//! wrong on standard error.

mod house;
mod options;
mod paste;
mod say;
mod tour;

use std::process::ExitCode;

use cqlgate_testkit::trouble::{During, Result};
use tokio::signal::unix::{SignalKind, signal};

use house::House;
use options::Options;
use say::{complain, line};

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            line(options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(trouble) => {
            complain(&format!("{trouble}\n\n{}", options::HELP));
            return ExitCode::from(2);
        }
    };
    match demo(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            complain(&trouble.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn demo(options: Options) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).during("listening to Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).during("listening to TERM")?;
    let stopped = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::pin!(stopped);

    // Whatever was started when it is stopped early is let go by being dropped.
    let house = tokio::select! {
        house = House::bring_up(&options) => house?,
        () = &mut stopped => return Ok(()),
    };
    let shown = tokio::select! {
        shown = show(&house, &options) => shown,
        () = &mut stopped => Ok(()),
    };
    if shown.is_ok() && !options.tour_only {
        stopped.await;
    }
    line("\nTaking everything down.");
    let down = house.take_down().await;
    shown.and(down)
}

async fn show(house: &House, options: &Options) -> Result<()> {
    tour::run(house).await?;
    if !options.tour_only {
        paste::print(house).await?;
    }
    Ok(())
}

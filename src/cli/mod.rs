//! The command line: what is typed, to what is done, to an exit code.
//!
//! In: arguments and two environment variables. Out: 0 done, 1 findings (or clap's 2 for arguments that make
//! no sense), 2 cannot start. What a command answers goes to standard output, logs go to standard error.

pub mod check;
mod logging;
mod scim_token;
pub mod serve;
mod status;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::Config;
pub use logging::LogFormat;

/// Findings: the command ran, and what it looked at is not in order.
const FINDINGS: u8 = 1;
/// The command could not do its work.
const CANNOT_START: u8 = 2;

/// An identity-aware proxy for Apache Cassandra.
///
/// Drivers connect to cqlgate instead of the cluster, unmodified, with an OpenID Connect token as their
/// password. Who they are and which groups they are in comes from your identity provider over SCIM 2.0;
/// what they may do stands in policy files, in Cassandra's own words (GRANT SELECT ON KEYSPACE ..). Every
/// request is judged before it reaches a node.
///
/// Start with a copy of config/cqlgate.toml, which explains every key, and `cqlgate check`.
#[derive(Debug, Parser)]
#[command(name = "cqlgate", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: LogOptions,
}

/// How logs are written.
#[derive(Debug, Args)]
struct LogOptions {
    /// Logs as `text` for people or `json` for machines; else `$CQLGATE_LOG_FORMAT` says it, else text
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// What is logged: error, warn, info, or by part, like `warn,cqlgate::scim=info`; else `$CQLGATE_LOG`
    /// says it, else info
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway until SIGTERM or Ctrl-C.
    ///
    /// Refuses to start if the configuration or a policy is wrong; what is wrong, `check` says in the same
    /// words. Edits of policy files are taken while it runs, other edits at the next start.
    Serve(ConfigFile),
    /// Say what is wrong with a configuration and its policies, and what to write instead.
    ///
    /// Looks at everything `serve` would: the file, the files it names, every policy. Each finding is a line
    /// `file:line:column: error: ..`. Also prints the GRANTs that the service account needs in Cassandra.
    /// Exits with 0 if `serve` would take it (warnings may stand), with 1 if not.
    Check(ConfigFile),
    /// Make the bearer token with which an identity provider pushes users and groups.
    #[command(subcommand)]
    ScimToken(ScimToken),
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration file; config/cqlgate.toml explains every key
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Debug, Subcommand)]
enum ScimToken {
    /// Print a new token, once, and the line for the configuration that accepts it.
    ///
    /// The configuration holds only the token's hash. Two hashes at once let the provider move from one
    /// token to the next without a gap.
    New {
        /// The `[[identity]]` that it is for
        name: String,
    },
}

/// The whole program: `args` with the program's name first.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; if nobody reads them, there is nobody to tell.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(CANNOT_START));
        }
    };
    let mut out = io::stdout().lock();
    let mut err = io::stderr();
    let done = match cli.command {
        Command::Serve(file) => serve(&file, &cli.log, &mut err),
        Command::Check(file) => check::run(&file.config, check::offline, &mut out)
            .map(|good| if good { ExitCode::SUCCESS } else { ExitCode::from(FINDINGS) }),
        Command::ScimToken(ScimToken::New { name }) => scim_token::new(&name, &mut out, &mut err),
    };
    // A closed pipe: whoever read it has read enough.
    done.unwrap_or(ExitCode::from(CANNOT_START))
}

fn serve(file: &ConfigFile, log: &LogOptions, err: &mut impl Write) -> io::Result<ExitCode> {
    let config = match Config::load(&file.config) {
        Ok(config) => config,
        Err(error) => {
            writeln!(err, "{error}")?;
            return Ok(ExitCode::from(CANNOT_START));
        }
    };
    if let Err(error) = logging::start(log.log_format, log.log.as_deref()) {
        writeln!(err, "cqlgate: {error}")?;
        return Ok(ExitCode::from(CANNOT_START));
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    match serve::run(config) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            writeln!(err, "cqlgate: {error}")?;
            Ok(ExitCode::from(CANNOT_START))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_hang_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for args in [
            &["cqlgate"][..],
            &["cqlgate", "serve"],
            &["cqlgate", "serve", "--config"],
            &["cqlgate", "check", "--config", "a", "b"],
            &["cqlgate", "check", "--config", "a", "--log-format", "xml"],
            &["cqlgate", "scim-token", "new"],
            &["cqlgate", "scim-token", "old", "x"],
        ] {
            assert!(Cli::try_parse_from(args).is_err(), "{args:?}");
        }
        assert!(Cli::try_parse_from(["cqlgate", "serve", "--config", "f", "--log-format", "json"]).is_ok());
    }

    #[test]
    fn help_is_whole_and_speaks_of_every_command() {
        let help = Cli::command().render_long_help().to_string();
        for word in ["serve", "check", "scim-token", "--log-format", "config/cqlgate.toml"] {
            assert!(help.contains(word), "{word}");
        }
        assert_eq!(main(["cqlgate", "--version"].map(OsString::from)), ExitCode::SUCCESS);
    }
}

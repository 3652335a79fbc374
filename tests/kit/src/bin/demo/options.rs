//! The demo's command line.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use cqlgate_testkit::loopback;
use cqlgate_testkit::trouble::{During, Result, Trouble};

pub(crate) const HELP: &str = "\
cargo demo [-- OPTIONS]

  --cassandra HOST:PORT   use this cluster instead of a node of the demo's own;
                          the keyspace cqlgate_demo is made there, and dropped at the end
  --username USER         the account for it: it creates and drops that keyspace, and the gateway uses it
  --password-file FILE    its password, one line
  --cql-port PORT         where drivers connect on 127.0.0.1 (9042)
  --scim-port PORT        where the identity provider pushes (8480)
  --admin-port PORT       the status page (8481)
  --any-port              an address of 127.65.0.0/16 where those ports are free
  --tour-only             end after the tour
  --help                  this";

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Options {
    /// The reader's own cluster.
    pub(crate) cluster: Option<Cluster>,
    /// CQL, SCIM, admin.
    pub(crate) listen: [SocketAddr; 3],
    /// End after the tour.
    pub(crate) tour_only: bool,
}

/// A cluster that is there already.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) contact_point: String,
    pub(crate) username: String,
    pub(crate) password: String,
}

impl Options {
    /// `None`: help was asked for.
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let (mut contact_point, mut username, mut password_file) = (None, None, None);
        let mut ports = [9042_u16, 8480, 8481];
        let [cql, scim, admin] = &mut ports;
        let (mut any_port, mut tour_only) = (false, false);
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| Trouble::new(format!("{arg} needs a value")));
            match arg.as_str() {
                "--cassandra" => contact_point = Some(value()?),
                "--username" => username = Some(value()?),
                "--password-file" => password_file = Some(PathBuf::from(value()?)),
                "--cql-port" => *cql = value()?.parse().during("--cql-port")?,
                "--scim-port" => *scim = value()?.parse().during("--scim-port")?,
                "--admin-port" => *admin = value()?.parse().during("--admin-port")?,
                "--any-port" => any_port = true,
                "--tour-only" => tour_only = true,
                "--help" | "-h" => return Ok(None),
                // The alias ends in one already; who writes another means the same.
                "--" => {}
                other => return Err(Trouble::new(format!("there is no option {other}"))),
            }
        }
        let cluster = match (contact_point, username, password_file) {
            (None, None, None) => None,
            (Some(contact_point), Some(username), Some(file)) => {
                if !contact_point.contains(':') {
                    return Err(Trouble::new(format!("--cassandra {contact_point}: write HOST:PORT")));
                }
                let password =
                    std::fs::read_to_string(&file).during(format!("reading {}", file.display()))?;
                let password = password.trim_end_matches(['\r', '\n']).to_owned();
                Some(Cluster { contact_point, username, password })
            }
            _ => {
                return Err(Trouble::new("--cassandra, --username and --password-file go together"));
            }
        };
        let ip = if any_port { loopback::free_address(65, &ports)? } else { Ipv4Addr::LOCALHOST };
        let listen = ports.map(|port| SocketAddr::from((ip, port)));
        Ok(Some(Self { cluster, listen, tour_only }))
    }

    /// Are the ports free? The first that is not is the trouble.
    pub(crate) fn check_ports(&self) -> Result<()> {
        for (addr, option) in self.listen.iter().zip(["--cql-port", "--scim-port", "--admin-port"]) {
            if let Err(error) = TcpListener::bind(addr) {
                return Err(Trouble::new(format!(
                    "port {} of {} is taken ({error}): stop what listens there, or choose another with {option} PORT, \
                     or let the demo look for free ones with --any-port",
                    addr.port(),
                    addr.ip()
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Option<Options>> {
        Options::parse(args.iter().map(ToString::to_string))
    }

    #[test]
    fn nothing_has_to_be_said() {
        let options = parse(&[]).unwrap().unwrap();
        assert!(options.cluster.is_none() && !options.tour_only);
        assert_eq!(
            options.listen.map(|addr| addr.to_string()),
            ["127.0.0.1:9042", "127.0.0.1:8480", "127.0.0.1:8481"]
        );
    }

    #[test]
    fn a_cluster_of_the_readers_own() {
        let file = std::env::temp_dir().join(format!("cqlgate-demo-options-{}", std::process::id()));
        std::fs::write(&file, "se cret\r\n").unwrap();
        let file_name = file.to_str().unwrap();
        let args = ["--", "--cassandra", "db:9042", "--username", "me", "--password-file", file_name];
        let cluster = parse(&args).unwrap().unwrap().cluster.unwrap();
        assert_eq!((cluster.contact_point, cluster.password), ("db:9042".into(), "se cret".into()));
        std::fs::remove_file(file).unwrap();
        parse(&["--cassandra", "db", "--username", "me", "--password-file", "/dev/null"]).unwrap_err();
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for args in [
            &["--cassandra", "db:9042"][..],
            &["--cql-port"],
            &["--cql-port", "70000"],
            &["--nonsense"],
            &["--cassandra", "db:1", "--username", "u", "--password-file", "/no/such/file"],
        ] {
            assert!(parse(args).is_err(), "{args:?}");
        }
    }

    #[test]
    fn a_taken_port_is_named_with_a_way_out() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = listener.local_addr().unwrap();
        let options =
            parse(&["--scim-port", &taken.port().to_string(), "--cql-port", "0", "--admin-port", "0"]);
        let trouble = options.unwrap().unwrap().check_ports().unwrap_err().to_string();
        assert!(trouble.starts_with(&format!("port {} of 127.0.0.1 is taken", taken.port())), "{trouble}");
        assert!(trouble.contains("--scim-port"), "{trouble}");
    }
}

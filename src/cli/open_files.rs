//! The open-files limit: every connection is one, and running out of them fails accepting,
//! sending and committing at once. So it is raised at start, and a start that could run out is
//! refused.

use crate::settings::Settings;

/// Binary, log, database files, name look-ups, timers and what the runtime itself opens.
const BESIDES: u64 = 128;

/// Raises the soft limit to the hard one and checks that it suffices.
pub(super) fn raise(settings: &Settings) -> anyhow::Result<()> {
    let need = needed(settings);
    let limit = rlimit::increase_nofile_limit(u64::MAX)
        .or_else(|_| rlimit::Resource::NOFILE.get().map(|(soft, _)| soft))?;
    tracing::debug!(limit, need, "open files");
    check(settings, need, limit)
}

/// The transport keeps at most as many connections idle as may be in flight.
fn needed(settings: &Settings) -> u64 {
    let delivery = &settings.delivery;
    let idle = if delivery.max_idle_per_host == 0 || delivery.idle_connection.is_zero() {
        0
    } else {
        delivery.max_in_flight_total
    };
    let files = settings.server.max_connections + delivery.max_in_flight_total + idle;
    files as u64 + u64::from(settings.store.max_connections) + BESIDES
}

fn check(settings: &Settings, need: u64, limit: u64) -> anyhow::Result<()> {
    if need <= limit {
        return Ok(());
    }
    let (server, delivery) = (
        settings.server.max_connections,
        settings.delivery.max_in_flight_total,
    );
    let lower = if server >= delivery {
        format!("server.max_connections (now {server})")
    } else {
        format!("delivery.max_in_flight_total (now {delivery}, which counts twice: busy and idle)")
    };
    anyhow::bail!(
        "{need} open files may be needed, but the system allows {limit}. Raise the hard limit \
         (ulimit -Hn; LimitNOFILE= in systemd; ulimits in compose) to {need}, or lower {lower} \
         by {}",
        need - limit
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(environment: &[(&str, &str)]) -> Settings {
        Settings::load(None, environment.iter().copied(), false).unwrap()
    }

    #[test]
    fn too_low_a_limit_names_the_numbers_and_the_setting_to_lower() {
        let settings = settings(&[]);
        let need = needed(&settings);
        assert_eq!(need, 4096 + 2 * 1024 + 16 + 128);
        assert!(check(&settings, need, need).is_ok());
        let message = check(&settings, need, 4096).unwrap_err().to_string();
        for part in [
            "6288 open files",
            "allows 4096",
            "server.max_connections (now 4096)",
            "by 2192",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn without_idle_connections_none_are_counted() {
        let settings = settings(&[("POSTHASTE_DELIVERY__MAX_IDLE_PER_HOST", "0")]);
        assert_eq!(needed(&settings), 4096 + 1024 + 16 + 128);
    }
}

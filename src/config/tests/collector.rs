//! `[telemetry]`, in a build that can export spans and in one that cannot.

use super::assert_fault;

#[cfg(not(feature = "otlp"))]
#[test]
fn without_the_feature_each_otlp_key_is_a_fault_that_names_it() {
    for line in [
        "otlp_endpoint = \"http://127.0.0.1:4318\"",
        "otlp_sample_percent = 5",
        "otlp_period = \"5s\"",
        "otlp_timeout = \"5s\"",
    ] {
        let key = line.split(' ').next().unwrap();
        assert_fault(
            &format!("[telemetry]\n{line}\n"),
            &format!(
                "2: telemetry.{key}: this build cannot export spans: build with `--features otlp`, or take it out"
            ),
        );
    }
    let variable = ("ZEC_GATEWAY__TELEMETRY__OTLP_ENDPOINT", "http://127.0.0.1:4318");
    let said = super::parse_with(super::MINIMAL, &[variable]).unwrap_err();
    assert!(said[0].contains("--features otlp"), "{said:?}");
}

#[test]
fn an_unknown_otlp_key_is_a_fault_in_every_build() {
    assert_fault(
        "[telemetry]\notlp_endpiont = \"http://127.0.0.1:4318\"\n",
        "2: telemetry.otlp_endpiont: unknown key: did you mean `otlp_endpoint`",
    );
}

#[cfg(feature = "otlp")]
mod with_otlp {
    use std::time::Duration;

    use super::assert_fault;
    use crate::config::tests::{parse, parse_after};

    #[test]
    fn a_collector_is_where_spans_go_and_none_is_the_default() {
        assert_eq!(parse(crate::config::tests::MINIMAL).unwrap().collector, None);
        for (said, meant) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://[::1]:4318/", "http://[::1]:4318/v1/traces"),
            ("https://otel.example/in/", "https://otel.example/in/v1/traces"),
        ] {
            let config =
                parse_after(&format!("[telemetry]\notlp_endpoint = \"{said}\"\n")).unwrap();
            assert_eq!(config.warnings, [], "{said}");
            let collector = config.collector.unwrap();
            assert_eq!(collector.endpoint.to_string(), meant);
            let times = (collector.period, collector.timeout);
            assert_eq!(times, (Duration::from_secs(5), Duration::from_secs(10)));
            assert_eq!(collector.sample_percent, 100);
        }
    }

    #[test]
    fn what_is_no_collectors_address_is_a_fault() {
        for (said, fault) in [
            ("127.0.0.1:4318", "`127.0.0.1:4318` is not a URL, as `https://host.example`"),
            ("http://u:p@h:4318", "has a user name or password in it: take it out"),
            (
                "http://h:4318/?a=b",
                "`http://h:4318/?a=b` has a query, which a collector's URL may not have",
            ),
            (
                "http://h:4318/v1/traces",
                "`http://h:4318/v1/traces` has the path for spans already: leave `/v1/traces` out",
            ),
        ] {
            let line = format!("[telemetry]\notlp_endpoint = \"{said}\"\n");
            assert_fault(&line, &format!("2: telemetry.otlp_endpoint: {fault}"));
        }
        assert_fault(
            "[telemetry]\notlp_sample_percent = 101\n",
            "2: telemetry.otlp_sample_percent: `101` is out of range: use 0 to 100",
        );
    }

    #[test]
    fn plain_otlp_beyond_loopback_and_keys_without_a_collector_are_warned_of() {
        let warned = |lines: &str| {
            let config = parse_after(&format!("[telemetry]\n{lines}\n")).unwrap();
            config.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        let said = warned("otlp_endpoint = \"http://otel.example:4318\"");
        assert!(said.starts_with("etc/g.toml:2: telemetry.otlp_endpoint: plain HTTP"), "{said}");
        let said = warned("otlp_period = \"1s\"");
        assert_eq!(
            said,
            "etc/g.toml:2: telemetry.otlp_period: has no effect without `otlp_endpoint`"
        );
    }
}

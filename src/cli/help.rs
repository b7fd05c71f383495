//! The page behind each command's `--help`: above the options, what the command does; below them, exit status,
//! examples, environment and files. `-h` shows none of these.

use clap::Command;

/// The start of a page's second half.
const BELOW_THE_OPTIONS: &str = "Exit status:\n";

/// Each command's path and page.
const PAGES: [(&[&str], &str); 25] = [
    (&[], include_str!("help/zec-gateway.txt")),
    (&["serve"], include_str!("help/serve.txt")),
    (&["dev"], include_str!("help/dev.txt")),
    (&["emulator"], include_str!("help/emulator.txt")),
    (&["check"], include_str!("help/check.txt")),
    (&["health"], include_str!("help/health.txt")),
    (&["reload"], include_str!("help/reload.txt")),
    (&["policy"], include_str!("help/policy.txt")),
    (&["policy", "test"], include_str!("help/policy-test.txt")),
    (&["policy", "explain"], include_str!("help/policy-explain.txt")),
    (&["policy", "matrix"], include_str!("help/policy-matrix.txt")),
    (&["policy", "schema"], include_str!("help/policy-schema.txt")),
    (&["journal"], include_str!("help/journal.txt")),
    (&["journal", "verify"], include_str!("help/journal-verify.txt")),
    (&["journal", "list"], include_str!("help/journal-list.txt")),
    (&["journal", "show"], include_str!("help/journal-show.txt")),
    (&["journal", "export"], include_str!("help/journal-export.txt")),
    (&["key"], include_str!("help/key.txt")),
    (&["key", "new"], include_str!("help/key-new.txt")),
    (&["key", "list"], include_str!("help/key-list.txt")),
    (&["key", "end"], include_str!("help/key-end.txt")),
    (&["key", "check"], include_str!("help/key-check.txt")),
    (&["key", "rotate-master"], include_str!("help/key-rotate-master.txt")),
    (&["token"], include_str!("help/token.txt")),
    (&["completions"], include_str!("help/completions.txt")),
];

/// The command line with all pages added.
pub(super) fn with_pages(cli: Command) -> Command {
    PAGES.iter().fold(cli, |cli, (path, page)| put(cli, path, page))
}

fn put(command: Command, path: &[&str], page: &'static str) -> Command {
    if let Some((name, rest)) = path.split_first() {
        return command.mut_subcommand(name, |inner| put(inner, rest, page));
    }
    let (above, below) = page.split_at(page.find(BELOW_THE_OPTIONS).unwrap_or(page.len()));
    // The first sentence of the page is also the summary of `-h`, so it is written only once.
    let summary = command.get_about().map(|about| format!("{about}\n\n")).unwrap_or_default();
    command.long_about(summary + above.trim_end()).after_long_help(below.trim_end())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    /// Every command, with the words that call it.
    fn commands() -> Vec<(String, Command)> {
        fn walk(words: &str, command: &Command, into: &mut Vec<(String, Command)>) {
            into.push((words.to_owned(), command.clone()));
            for inner in command.get_subcommands() {
                walk(&format!("{words} {}", inner.get_name()), inner, into);
            }
        }
        let mut all = Vec::new();
        walk("zec-gateway", &with_pages(Cli::command()), &mut all);
        all
    }

    fn long(command: &Command) -> String {
        command.clone().render_long_help().to_string()
    }

    /// The lines below a heading, up to the next heading.
    fn section<'a>(help: &'a str, heading: &str) -> Vec<&'a str> {
        let below = help.lines().skip_while(|line| *line != format!("{heading}:")).skip(1);
        below.take_while(|line| line.is_empty() || line.starts_with(' ')).collect()
    }

    #[test]
    fn every_command_has_a_page_and_every_page_a_command() {
        let commands = commands();
        assert_eq!(commands.len(), PAGES.len());
        for (words, command) in commands {
            let help = long(&command);
            let about = command.get_about().unwrap().to_string();
            assert!(help.starts_with(&format!("{about}\n\n")), "{words}: {help}");
            let statuses = section(&help, "Exit status");
            assert!(statuses.len() > 1, "{words} has no exit status");
            assert!(statuses.iter().any(|line| line.starts_with("  2  ")), "{words}");
            assert!(!section(&help, "Examples").is_empty(), "{words} has no example");
        }
    }

    #[test]
    fn every_example_is_one_that_the_command_line_takes() {
        let mut seen = 0;
        for (words, command) in commands() {
            let examples = section(&long(&command), "Examples").join("\n").replace("\\\n", "");
            for example in examples.lines().map(str::trim).filter(|line| !line.is_empty()) {
                let typed = example.split(" >").next().unwrap();
                let typed: Vec<_> =
                    typed.split_whitespace().skip_while(|word| word.contains('=')).collect();
                let taken = with_pages(Cli::command()).try_get_matches_from(&typed);
                assert!(taken.is_ok(), "{words}: {example}: {}", taken.unwrap_err());
                // The examples of a group show its commands.
                assert!(typed.join(" ").starts_with(&words), "{words}: {example}");
                seen += 1;
            }
        }
        assert!(seen > 20, "{seen}");
    }

    #[test]
    fn every_fault_that_the_emulator_knows_is_on_its_page() {
        let page = include_str!("help/emulator.txt");
        let said = "none".parse::<crate::emulator::Fault>().unwrap_err().to_string();
        let kinds = said.split("KIND is one of ").nth(1).unwrap();
        assert!(kinds.split(", ").count() > 20, "{kinds}");
        for kind in kinds.split(", ") {
            let there = page.split([' ', '\n']).any(|word| word.trim_end_matches(',') == kind);
            assert!(there, "{kind}");
        }
    }

    #[test]
    fn every_argument_says_what_it_is_and_its_default_or_that_there_is_none() {
        for (words, command) in commands() {
            for argument in command.get_arguments() {
                let name = argument.get_id();
                let short = argument.get_help().unwrap_or_else(|| panic!("{words} {name}"));
                assert!(!short.to_string().ends_with('.'), "{words} {name}");
                let unset = argument.get_default_values().is_empty();
                let flag = !argument.get_action().takes_values();
                let optional = !argument.is_required_set() && unset && !flag;
                // clap shows a default that it knows; the help text must mention any other default.
                let told = argument.get_long_help().map(ToString::to_string).unwrap_or_default();
                assert!(!optional || told.contains("ithout"), "{words} {name}: {told}");
            }
        }
    }

    #[test]
    fn no_line_is_longer_than_a_terminal_and_the_short_help_stays_short() {
        for (words, command) in commands() {
            let (long, short) = (long(&command), command.clone().render_help().to_string());
            let longest = long.lines().max_by_key(|line| line.chars().count()).unwrap();
            assert!(longest.chars().count() <= 105, "{words}: {longest}");
            assert!(short.lines().count() <= 40, "{words}: {short}");
            assert!(!short.contains(BELOW_THE_OPTIONS), "{words}");
        }
    }
}

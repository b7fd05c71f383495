//! Enums whose every value has a name outside: each is written once, with its name beside it.

/// An enum with the list of all its values and the name of each. `by` is the method that gives the name,
/// `from` the one that finds a value by it.
///
/// ```ignore
/// labels! {
///     /// How it went.
///     pub enum Outcome by label, from from_label {
///         /// Well.
///         Done = "done",
///     }
/// }
/// ```
macro_rules! labels {
    (
        $(#[$meta:meta])*
        pub enum $name:ident by $by:ident $(, from $from:ident)? {
            $($(#[$of_variant:meta])* $variant:ident = $label:literal,)+
        }
    ) => {
        $(#[$meta])*
        pub enum $name {
            $($(#[$of_variant])* $variant,)+
        }

        impl $name {
            /// Every value: a closed set, so that it may label metrics.
            pub const ALL: [Self; [$($label),+].len()] = [$(Self::$variant),+];

            /// The value's name in answers, metrics and files.
            #[must_use]
            pub const fn $by(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)+
                }
            }

            $(
                /// The value of that name, if there is one.
                #[must_use]
                pub fn $from(name: &str) -> Option<Self> {
                    Self::ALL.into_iter().find(|one| one.$by() == name)
                }
            )?
        }
    };
}

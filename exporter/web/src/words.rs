//! Closed sets of words.

/// An enum whose variants stand for words, as values of a label do: `Variant = "word"`. It gets `ALL`, in the order of the
/// variants, and `as_str`.
#[macro_export]
macro_rules! words {
    (
        $(#[$about:meta])*
        $visible:vis enum $name:ident { $($(#[$about_variant:meta])* $variant:ident = $word:literal,)* }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $visible enum $name { $($(#[$about_variant])* $variant,)* }

        impl $name {
            /// All of them.
            $visible const ALL: [Self; [$($word),*].len()] = [$(Self::$variant),*];

            /// The word that it stands for.
            #[must_use]
            $visible const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

//! Closed sets of words.

/// An enum whose variants stand for words, as values of a label do: `Variant = "word"`. It gets `ALL` and `WORDS`, in the
/// order of the variants, `as_str` and `parse`.
#[macro_export]
macro_rules! words {
    (
        $(#[$about:meta])*
        $visible:vis enum $name:ident { $($(#[$about_variant:meta])* $variant:ident = $word:literal,)* }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $visible enum $name { $($(#[$about_variant])* $variant,)* }

        #[allow(dead_code, reason = "few sets of words need all of this")]
        impl $name {
            /// All of them.
            $visible const ALL: [Self; [$($word),*].len()] = [$(Self::$variant),*];
            /// All of them, by their words.
            $visible const WORDS: [(&'static str, Self); Self::ALL.len()] = [$(($word, Self::$variant)),*];

            /// The word that it stands for.
            #[must_use]
            $visible const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The one that `word` stands for.
            #[must_use]
            $visible fn parse(word: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|it| it.as_str() == word)
            }
        }
    };
}

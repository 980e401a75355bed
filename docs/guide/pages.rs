//! The pages of the guide, so that `cargo test` here compiles and runs their code blocks.

macro_rules! pages {
    ($($name:ident: $file:literal),* $(,)?) => {
        $(
            #[doc = include_str!($file)]
            pub mod $name {}
        )*
    };
}

pages! {
    tutorial: "tutorial.md",
    from_tokio: "from-tokio.md",
    from_others: "from-others.md",
    async_service: "async-service.md",
    protection: "protection.md",
    debugging: "debugging.md",
    testing: "testing.md",
    embedding: "embedding.md",
}

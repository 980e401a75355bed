//! What every comparison reads like when it fails.

macro_rules! same {
    ($node:expr, $what:literal, $real:expr, $model:expr) => {
        let (real, model) = (&$real, &$model);
        if real != model {
            return Err(format!(
                "node {}: {} is {real:?}, should be {model:?}",
                $node, $what
            ));
        }
    };
}

pub(crate) use same;

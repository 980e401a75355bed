//! What the plots of ratios share: a logarithmic scale, text, and the frame.

/// A logarithmic scale of ratios from left to right.
pub struct Scale {
    pub left: f64,
    pub width: f64,
    /// The ratios at its ends.
    pub least: f64,
    pub most: f64,
}

impl Scale {
    /// Where a ratio is: at an end if it is beyond.
    pub fn x(&self, ratio: f64) -> f64 {
        let place = (ratio / self.least).ln() / (self.most / self.least).ln();
        self.left + self.width * place.clamp(0.0, 1.0)
    }
}

pub fn text(x: f64, y: f64, anchor: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let text = text.replace('>', "&gt;");
    format!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#)
}

/// The whole plot, of lines that are SVG already.
pub fn page(width: f64, height: f64, title: &str, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"14\" y=\"22\" font-size=\"14\" font-weight=\"bold\">{title}</text>\n{body}</svg>\n"
    )
}

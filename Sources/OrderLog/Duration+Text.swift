extension Duration {
    /// Reads `250ms 5s 10m 2h 7d`; nil for any other text.
    ///
    /// - Parameter text: A whole number and a unit, without a space between them.
    package init?(text: String) {
        let units: [(suffix: String, milliseconds: Int64)] = [
            ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
        ]
        for unit in units where text.hasSuffix(unit.suffix) {
            guard let number = Int64(text.dropLast(unit.suffix.count)), (0...1_000_000_000).contains(number) else {
                continue
            }
            self = .milliseconds(number * unit.milliseconds)
            return
        }
        return nil
    }
}

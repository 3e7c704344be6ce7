/// Finds what was meant by a name that there is none of.
enum Spelling {
    /// How many letters may be wrong in a suggestion.
    private static let distanceMax = 3

    /// The name that differs in a few letters, else one of which the word is the beginning; nil for none.
    static func meant(by word: String, among names: [String]) -> String? {
        nearest(word, among: names, within: distanceMax) ?? names.first { !word.isEmpty && $0.hasPrefix(word) }
    }

    /// The name that is nearest; nil when each is farther off.
    static func nearest(_ word: String, among names: [String], within distanceMax: Int) -> String? {
        names.map { (name: $0, distance: distance(word, $0)) }.filter { $0.distance <= distanceMax }
            .min { $0.distance < $1.distance }?.name
    }

    /// How many letters have to be added, taken away or changed (Levenshtein).
    private static func distance(_ left: String, _ right: String) -> Int {
        var row = Array(0...right.count)
        for (i, a) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, b) in right.enumerated() {
                let cost = min(diagonal + (a == b ? 0 : 1), row[j] + 1, row[j + 1] + 1)
                diagonal = row[j + 1]
                row[j + 1] = cost
            }
        }
        return row[right.count]
    }
}

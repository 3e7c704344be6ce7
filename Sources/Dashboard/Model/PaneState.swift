/// One of the dashboard's lists.
package enum Pane: Int, Sendable, Equatable, CaseIterable {
    case groups, partitions, pending, dead
}

/// Where a person is in a pane: the row, what is scrolled away, the filter and the order.
struct PaneState: Sendable, Equatable {
    /// The selected row's key: the selection stays on its thing when rows move.
    private(set) var selected: String?
    /// The selected row's place.
    private(set) var index = 0
    /// The first row in sight.
    private(set) var offset = 0
    /// Only rows that contain this are shown; empty shows all.
    var filter = ""
    /// Which of the pane's orders is used.
    var order = 0

    /// Moves the selection; the ends stop it.
    mutating func move(by rows: Int, in keys: [String]) {
        guard !keys.isEmpty else { return }
        index = min(max(0, index + rows), keys.count - 1)
        selected = keys[index]
    }

    /// Selects a row by its key, when the pane has it.
    mutating func select(_ key: String?) {
        selected = key
    }

    /// Finds the selected row again among the present ones and brings it into sight.
    ///
    /// When it is gone, the row now at its place is selected.
    mutating func settle(in keys: [String], visible: Int) {
        if let place = keys.firstIndex(where: { $0 == selected }) {
            index = place
        } else {
            index = min(index, max(0, keys.count - 1))
            selected = keys.indices.contains(index) ? keys[index] : nil
        }
        let visible = max(1, visible)
        offset = min(offset, index)
        offset = max(offset, index - visible + 1)
        offset = max(0, min(offset, keys.count - visible))
    }

    /// Goes back to the first row; order and filter stay.
    mutating func rewind() {
        selected = nil
        index = 0
        offset = 0
    }
}

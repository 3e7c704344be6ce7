import OrderLog

/// What goes wrong, one fault at a time.
struct Chaos {
    let world: SimulatedWorld
    private var schedule: Schedule { world.schedule }

    init(_ world: SimulatedWorld) { self.world = world }

    /// How much of the replication stream a fault takes with it: often nothing, often a little.
    private func lost() -> Int {
        let bound = min(world.address.losable, schedule.generator.below(3) == 0 ? 40 : 8)
        return schedule.generator.chance(300) || bound == 0 ? 0 : 1 + schedule.generator.below(bound)
    }

    func strike() {
        switch schedule.generator.below(100) {
        case 0..<18: kill()
        case 18..<36: stop()
        case 36..<48: restartRedis()
        case 48..<64: swapRoles()
        case 64..<76: failOver()
        case 76..<82: restartPostgres()
        case 82..<89: addUnusable()
        case 89..<93: takeNext()
        default: destroyGroup()
        }
    }

    private func kill() {
        guard let process = randomWorker() else { return }
        schedule.note("fault: \(process.name) is killed")
        process.isKilled = true
        process.stoppedUntil = 0
        schedule.wake(process)
    }

    private func stop() {
        guard let process = randomWorker() else { return }
        let milliseconds = 100 + schedule.generator.below(4000)
        schedule.note("fault: \(process.name) is stopped for \(milliseconds) ms")
        process.stoppedUntil = schedule.now + Int64(milliseconds) * 1000
    }

    private func restartRedis() {
        let lost = lost()
        let half = lost > 0 && schedule.generator.chance(500) ? 1 + schedule.generator.below(3) : 0
        schedule.note(
            "fault: \(world.address.name) is restarted, and lost \(lost) steps"
                + (half > 0 ? ", the first of them but for \(half) of its effects" : ""))
        world.address.restart(losing: lost, keeping: half)
        putClockBack()
    }

    private func swapRoles() {
        let lost = lost()
        schedule.note("fault: roles are swapped and swapped back, \(world.address.name) lost \(lost) steps")
        world.address.loseTail(lost)
        putClockBack()
    }

    private func failOver() {
        let lost = lost()
        let livesOn = schedule.generator.chance(600)
        schedule.note(
            "fault: a replica of \(world.address.name) is promoted, \(lost) steps behind; the old master "
                + (livesOn ? "may live on" : "is dead"))
        world.promoteReplica(behind: lost, oldMayLiveOn: livesOn)
        putClockBack()
    }

    private func putClockBack() {
        if schedule.generator.chance(500) { world.address.setClockBack() }
    }

    private func restartPostgres() {
        schedule.note("fault: Postgres is restarted")
        world.postgres.incarnation += 1
    }

    private func addUnusable() {
        let partition = randomPartition()
        let isPlaced = schedule.generator.chance(700)
        let id = "bad\(schedule.steps)"
        schedule.note(
            "fault: the unusable entry \(id) is added to \(partition), \(isPlaced ? "at the next place" : "by hand")")
        world.address.addUnusable(partition, id: id, isPlaced: isPlaced)
    }

    /// `dead take`: the next change that stock would apply is set aside.
    private func takeNext() {
        schedule.note("fault: stock's next change is taken")
        world.address.takesNext = true
    }

    private func destroyGroup() {
        let group = schedule.generator.chance(500) ? Group.postgres : .stock
        let partition = randomPartition()
        schedule.note("fault: the group \(group) of \(partition) is destroyed")
        world.address.write(partition, isSingle: true) { $0.groups[group.place] = nil }
    }

    private func randomWorker() -> SimulatedProcess? {
        let alive = world.workers.filter { !$0.isKilled }
        return alive.isEmpty ? nil : alive[schedule.generator.below(alive.count)]
    }

    private func randomPartition() -> Partition {
        Partition(schedule.generator.below(world.partitioning.count))
    }
}

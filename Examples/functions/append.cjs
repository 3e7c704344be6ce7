// Appends orders to Onewrite's log through its Redis functions: node append.cjs PREFIX COUNT. Needs node-redis 4.
const { createClient } = require('redis')

const url = process.env.REDIS_URL
const options = url.startsWith('unix:') ? { socket: { path: new URL(url).pathname } } : { url }
const client = createClient({ ...options, disableOfflineQueue: true }).on('error', () => {})
const pause = () => new Promise((done) => setTimeout(done, 100))

// Appends a change once; returns [outcome, …] as README.md has it.
async function append(change, namespace = 'onewrite', patience = 30000) {
  const deadline = Date.now() + patience
  for (;;) {
    try {
      let place = await client.sendCommand(['FCALL_RO', 'onewrite_partition', '1', `${namespace}:meta`, change.shop])
      if (place.length === 7) {
        const [, log, partitions, ...keys] = place
        place = await client.sendCommand(
          ['FCALL', 'onewrite_append', '4', ...keys, log, partitions, '', ...Object.entries(change).flat()])
      }
      if (!['closed', 'nolog'].includes(place[0]) || Date.now() > deadline) return place
    } catch (error) { // Without an answer it may be in the log or not: the same again tells.
      if (error.message.startsWith('ERR') || Date.now() > deadline) throw error
    }
    await pause()
  }
}

async function main([prefix, count]) {
  await client.connect()
  for (let number = 0; number < Number(count); number++) {
    const change = {
      type: 'order.placed', id: `${prefix}-${number}`, shop: `shop-${number % 5}`, customer: 'Zoë',
      lines: `TEA:${number % 9 + 1} MUG:1`,
    }
    console.log((await append(change)).join(' '))
  }
  await client.disconnect()
}

main(process.argv.slice(2)).catch((error) => { console.error(error.message); process.exit(1) })

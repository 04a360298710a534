import { readdirSync, readFileSync } from 'node:fs'

/**
 * Processes that have a directory of a campaign's engine in their command, which begins with this.
 * @param {string} directory
 * @param {string} name
 * @returns {number[]}
 */
export function engineProcesses(directory, name) {
  const begins = new RegExp(`^(\\S*/)?${name}`)
  return pids().filter((pid) => {
    const command = read(pid, 'cmdline').replaceAll('\0', ' ')
    return begins.test(command) && command.includes(directory)
  })
}

/**
 * Processes that were told to use the engine.
 * @param {string} socketPath
 * @returns {number[]}
 */
export function engineUsers(socketPath) {
  return pids().filter((pid) => read(pid, 'environ').split('\0').includes(`DOCKER_HOST=unix://${socketPath}`))
}

function pids() {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

/**
 * @param {number} pid
 * @param {string} file
 */
function read(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    // It has ended.
    return ''
  }
}

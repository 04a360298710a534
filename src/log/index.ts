export { LineSplitter } from './line-splitter.ts'
export { createLogger, type Logger, type LoggerOptions, silentLogger } from './logger.ts'

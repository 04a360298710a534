import { expect, test } from 'vitest'
import { amd64 } from '../arch/amd64.ts'
import { containerFailure } from './container-options.ts'

const options = { arch: amd64, image: 'a:b', labels: {}, entry: 'cgroupv1' }
const refusal = (statusCode: number, message: string) => Object.assign(new Error(message), { statusCode })

test('a missing device is named, with the module to load', () => {
  const cause = refusal(
    500,
    '(HTTP code 500) server error - error gathering device information while adding custom device "/dev/net/tun": no such file or directory',
  )
  const error = containerFailure(options, cause)
  expect(error).toMatchObject({ code: 'DEVICE_MISSING', remedy: expect.stringContaining('modprobe tun') })
  expect(error.message).toContain("cgroupv1: the engine's machine has no /dev/net/tun")
})

test('a missing image is named', () => {
  expect(
    containerFailure(options, refusal(404, '(HTTP code 404) no such container - No such image: a:b')),
  ).toMatchObject({
    code: 'IMAGE_MISSING',
    message: expect.stringContaining('no image a:b'),
  })
})

test('an engine that went away is told apart from one that refused', () => {
  const gone = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
  expect(containerFailure(options, gone).remedy).toContain('does not answer any more')
  expect(containerFailure(options, refusal(500, 'no space left on device')).remedy).toContain('what the cause names')
})

import { expect, test } from 'vitest'
import { PatternList, parseIgnoreFile } from './patterns.ts'

test.each<[patterns: string[], matching: string[], other: string[]]>([
  [['*.log'], ['a.log', '.log', 'a.log/below'], ['a.log.txt', 'sub/a.log', 'log']],
  [['**/*.log'], ['a.log', 'sub/a.log', 'sub/deep/a.log'], ['a.txt']],
  [['node_modules'], ['node_modules', 'node_modules/x/y'], ['sub/node_modules', 'node_modules2']],
  [['**/node_modules'], ['node_modules/x', 'sub/deep/node_modules/x'], ['my_node_modules/x']],
  [['sub/**'], ['sub/x', 'sub/x/y'], ['sub', 'subx']],
  [['a/**/z'], ['a/z', 'a/b/z', 'a/b/c/z/below'], ['a/bz', 'z']],
  [
    ['/rooted', './dotted/', 'up/../kept'],
    ['rooted', 'dotted/x', 'kept'],
    ['sub/rooted', 'up'],
  ],
  [
    ['?.c', '[a-c].h', '[^x].o'],
    ['a.c', 'b.h', 'a.o'],
    ['ab.c', 'd.h', 'x.o', '/.c'],
  ],
  [
    ['a\\*b', 'c+d(e)'],
    ['a*b', 'c+d(e)'],
    ['axb', 'ccd'],
  ],
  [
    ['*', '!keep', '!dir/inner'],
    ['x', 'dir/other'],
    ['keep', 'keep/below', 'dir/inner'],
  ],
  [['!never', 'never'], ['never'], []],
  [
    ['dir', '!dir/inner', 'dir/inner/again'],
    ['dir/x', 'dir/inner/again'],
    ['dir/inner', 'dir/inner/y'],
  ],
  [['ünï*'], ['ünïcödé'], ['uni']],
  [[], [], ['anything']],
  [['', ' ', '.'], [], ['anything']],
])('%j matches what BuildKit says it matches', (patterns, matching, other) => {
  const list = new PatternList(patterns)
  expect(matching.filter((path) => !list.matches(path))).toEqual([])
  expect(other.filter((path) => list.matches(path))).toEqual([])
})

test('it is known where a pattern may still match below a directory', () => {
  const list = new PatternList(['src/*/x', '!vendor/keep', '!**/deep'])
  expect(list.mayMatchBelow('src')).toBe(true)
  expect(list.mayMatchBelow('src/any')).toBe(true)
  expect(list.mayMatchBelow('other')).toBe(false)
  expect(new PatternList(['*', '!vendor/keep']).mayTakeBackBelow('vendor')).toBe(true)
  expect(new PatternList(['*', '!vendor/keep']).mayTakeBackBelow('node_modules')).toBe(false)
  expect(list.mayTakeBackBelow('anywhere')).toBe(true)
})

test('an ignore file has comments, blank lines and line ends of any system', () => {
  expect(parseIgnoreFile('\uFEFF# comment\r\n\n  *.log  \r\n!keep.log\n#another')).toEqual(['*.log', '!keep.log'])
})

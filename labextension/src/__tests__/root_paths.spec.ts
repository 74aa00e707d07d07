import { toBrowserPath, toJobPath } from '../root_paths';

describe('toJobPath', () => {
  it.each([
    ['a/b', '', 'a/b'],
    ['', '', '.'],
    ['data/s1', 'data', 's1'],
    ['data', 'data', '.'],
    ['data-2/s1', 'data', null],
    ['', 'data', null]
  ])('makes of “%s” with the root at “%s” “%s”', (path, offset, expected) => {
    expect(toJobPath(path, offset)).toBe(expected);
  });
});

describe('toBrowserPath', () => {
  it('is the way back', () => {
    expect(toBrowserPath('out/1', '')).toBe('out/1');
    expect(toBrowserPath('out/1', 'data')).toBe('data/out/1');
  });
});

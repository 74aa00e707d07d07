import { Api, Refused } from '../api';
import { FakeServer, makeJob } from './fixtures';

describe('Api', () => {
  it('posts a request as it is to the versioned route under the base URL', async () => {
    const server = new FakeServer();
    server.postReply = { status: 201, body: makeJob() };
    const request = { task: '3dblur', input_dir: 'a b/ü', params: {} };
    expect(await new Api(server.settings).submit(request)).toEqual({
      ...makeJob(),
      toldAt: expect.any(Number)
    });
    expect(server.seen).toEqual([
      { method: 'POST', route: 'jobs', body: request }
    ]);
  });

  it('throws the sentence of a refusal', async () => {
    const server = new FakeServer();
    server.postReply = {
      status: 422,
      body: { code: 'NO_DICOM', message: 'The folder holds no DICOM image.' }
    };
    const cancelled = new Api(server.settings).cancel('u');
    await expect(cancelled).rejects.toBeInstanceOf(Refused);
    await expect(cancelled).rejects.toMatchObject({
      code: 'NO_DICOM',
      message: 'The folder holds no DICOM image.'
    });
    expect(server.seen[0].route).toBe('jobs/u/cancel');
  });

  it.each([
    [404, 'run `jupyter server extension enable dlp_lab`'],
    [403, 'reload the page to log in again'],
    [502, 'status 502. Try again in a moment']
  ])(
    'says what to do when the answer is not from dlp-lab (%i)',
    async (status, sentence) => {
      const server = new FakeServer();
      server.postReply = { status, body: '<html>No</html>' };
      await expect(new Api(server.settings).cancel('u')).rejects.toThrow(
        sentence
      );
    }
  );
});

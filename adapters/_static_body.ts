/**
 * Telling a response whose body was complete when it was made (text, bytes, nothing) from one
 * that streams, without touching `response.body`. Every platform knows, none says: what an
 * adapter finds is tried here before it is believed.
 */

/** `true` only if the response's body surely is complete. */
export type BodyTest = (response: Response) => boolean;

/** What every platform can tell. */
function hasNoBody(response: Response): boolean {
  return response.body === null;
}

/** `test`, if it tells here what it must; else a test that knows bodiless responses alone. */
export function trustedBodyTest(test: BodyTest | undefined): BodyTest {
  return test !== undefined && tellsApart(test) ? test : hasNoBody;
}

function tellsApart(test: BodyTest): boolean {
  const bodies = ["text", null];
  const streams = [
    () => new ReadableStream(),
    () => new ReadableStream({ type: "bytes" }),
    () => new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(999)) }),
  ];
  const inits: ResponseInit[] = [
    {},
    { status: 201, headers: { "content-type": "text/plain", "x-a": "b".repeat(999) } },
    { headers: new Headers({ "x-a": "b" }) },
  ];
  const named = { ...inits[1], statusText: "Named" };
  try {
    return inits.every((init) => bodies.every((body) => test(new Response(body, init)))) &&
      ![...inits, named].some((init) => streams.some((body) => test(new Response(body(), init))));
  } catch {
    return false;
  }
}

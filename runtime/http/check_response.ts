/**
 * What a handler answered with is looked at before it is used: JavaScript knows no types, and
 * what is no response would fail far from whoever made it.
 */

/** Whether `value` is a Response; servers replace the class, so its name must do. */
export function isResponse(value: unknown): value is Response {
  return typeof value === "object" && value !== null && Symbol.toStringTag in value &&
    value[Symbol.toStringTag] === "Response";
}

/** @throws {TypeError} if `value` is no Response. */
export function checkResponse(value: unknown, expectation: string): asserts value is Response {
  if (!isResponse(value)) {
    throw new TypeError(`Cannot answer: ${expectation}, not ${describe(value)}`);
  }
}

function describe(value: unknown): string {
  return typeof value === "object" && value !== null
    ? `an object of class ${value.constructor?.name}`
    : typeof value === "function"
    ? "a function"
    : String(value);
}

/**
 * Alcedo: a web runtime for applications whose database is their own model.
 *
 * This is the public face, and the command when it is run: `deno run -A mod.ts app.ts`.
 * Everything else is private, except the server adapters under `alcedo/deno`, `alcedo/bun`
 * and `alcedo/node`, what a server must do under `alcedo/conformance`, and workers of a pool under
 * `alcedo/worker`.
 *
 * @module
 */

export { openFileLog } from "./adapters/file_log.ts";
export type { FileLogOptions } from "./adapters/file_log.ts";
export { openEngine } from "./adapters/open_engine.ts";
export type { EngineOptions } from "./adapters/open_engine.ts";
export { serveFiles } from "./adapters/serve_files.ts";
export { serve } from "./adapters/serve.ts";
export type { ServerSettings } from "./adapters/cli/options.ts";
export type { ServeOptions, Serving } from "./adapters/cli/serve_app.ts";
export { defineApp } from "./runtime/app.ts";
export type {
  App,
  AppBase,
  AppDefinition,
  CommonContext,
  Context,
  DeepReadonly,
  ErrorHandler,
  ErrorHandlers,
  FinishContext,
  Handler,
  LifecycleStep,
  ReadContext,
  RequestStep,
  RunningApp,
  SaveEvent,
  StepContext,
  WriteAnswer,
  WriteContext,
} from "./runtime/app.ts";
export { checkApp } from "./runtime/check_app.ts";
export type { AppProblem } from "./runtime/check_app.ts";
export type { Change } from "./runtime/change_block.ts";
export type { Changes } from "./runtime/change_consumer.ts";
export type { ChangesOptions } from "./runtime/changes.ts";
export type { Clock } from "./runtime/clock.ts";
export { bytes, json } from "./runtime/codec.ts";
export type { Codec, IsJson, ModelCodec } from "./runtime/codec.ts";
export { modelCodec } from "./runtime/model_codec.ts";
export type {
  Engine,
  EngineFetch,
  Health,
  ReadTools,
  WriteTools,
  Written,
} from "./runtime/engine.ts";
export { AlcedoError, HttpError } from "./runtime/errors.ts";
export type { ErrorCode, HttpErrorOptions } from "./runtime/errors.ts";
export type {
  BodyRead,
  FetchHandler,
  ListenOptions,
  RequestInfo,
  Server,
  ServerLimits,
  TlsOptions,
} from "./runtime/http/fetch_handler.ts";
export { honoHandler } from "./runtime/hono_handler.ts";
export type { HonoBindings, HonoEnv } from "./runtime/hono_handler.ts";
export type { OtherMethod, WriteMethod } from "./runtime/http/methods.ts";
export type { FileHandler, ServeFilesOptions } from "./runtime/http/static_files.ts";
export type {
  Commit,
  Durability,
  EventBatch,
  EventLog,
  Snapshot,
  SnapshotPlace,
  StoredCommit,
} from "./runtime/log/event_log.ts";
export type { LogFormat } from "./runtime/log/recovery.ts";
export { memoryLog } from "./runtime/log/memory_log.ts";
export type { OnBadEvent, ReplayProgress } from "./runtime/replay.ts";
export { testApp } from "./runtime/test_app.ts";
export type { TestAnswer, TestAppOptions, TestedApp } from "./runtime/test_app.ts";

// No top-level await: it would deadlock with an application that imports this module.
if (import.meta.main) import("./adapters/cli/main.ts").then(({ main }) => main());

/** A vitest reporter that ends the output with one plain line, `N passed, N failed`, for scripts that read it. */
import type { Reporter, TestModule } from 'vitest/node'

/** Counts the test cases of a run by their final state. */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>, errors: ReadonlyArray<unknown>): void {
    let passed = 0
    let failed = errors.length
    for (const module of modules) {
      if (module.children.size === 0 || module.errors().length > 0) failed += module.errors().length
      for (const test of module.children.allTests()) {
        const state = test.result().state
        if (state === 'passed') passed++
        else if (state === 'failed') failed++
      }
    }
    process.stdout.write(`\n${passed} passed, ${failed} failed\n`)
  }
}

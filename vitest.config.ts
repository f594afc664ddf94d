import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['tests/**/*.test.ts'],
    reporters: ['default', './tests/support/closing-line.ts'],
    testTimeout: 60_000,
    globalSetup: './tests/support/build.ts',
    hookTimeout: 60_000,
    coverage: { include: ['{cpu,devices,trace,replay,cli}/**/*.ts'], reporter: ['text-summary', 'html'] },
  },
})

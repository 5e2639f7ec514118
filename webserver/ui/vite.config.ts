import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

const WEBSERVER = 'http://127.0.0.1:8090'

export default defineConfig({
  plugins: [react()],
  build: { outDir: '../backendai/webserver/static', emptyOutDir: true, chunkSizeWarningLimit: 700 },
  server: {
    proxy: Object.fromEntries(
      ['/server', '/func', '/config.toml'].map((path) => [path, { target: WEBSERVER, ws: true }]),
    ),
  },
  test: { environment: 'jsdom', include: ['src/**/*.test.{ts,tsx}'] },
})

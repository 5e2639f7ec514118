/** The addresses: what stands in the shell, and what fills the window. */
import { Suspense } from 'react'
import { createBrowserRouter, Navigate, Outlet } from 'react-router'
import { BARE_PAGES, PAGES } from './pages'
import { LoginGate, Waiting } from './shell/me'
import { Broken, Unknown } from './shell/Broken'
import { Shell } from './shell/Shell'

export const router = createBrowserRouter([
  {
    element: <LoginGate><Outlet /></LoginGate>,
    errorElement: <Broken />,
    children: [
      ...Object.entries(BARE_PAGES).map(([path, Page]) => ({ path, element: <Suspense fallback={<Waiting />}><Page /></Suspense> })),
      {
        element: <Shell />,
        children: [
          { index: true, element: <Navigate to="/start" replace /> },
          {
            errorElement: <Broken />,
            children: Object.entries(PAGES).map(([path, Page]) => ({ path, element: <Page /> })),
          },
          { path: '*', element: <Unknown /> },
        ],
      },
    ],
  },
])

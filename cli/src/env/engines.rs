//! What each engine calls it.

use clap::ValueEnum;

use super::addresses::Addresses;

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Engine {
    /// NCCL, and what runs on it.
    Nccl,
    /// Gloo, as PyTorch uses it.
    #[value(alias = "pytorch")]
    Gloo,
    /// UCX.
    Ucx,
    /// Open MPI.
    #[value(alias = "openmpi")]
    Mpi,
    /// Ray.
    Ray,
    /// llama.cpp's RPC backend.
    #[value(name = "llama.cpp", alias = "llama")]
    LlamaCpp,
    /// libp2p.
    Libp2p,
}

impl Engine {
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    pub fn lines(self, at: &Addresses) -> Vec<String> {
        let name = &at.interface;
        match self {
            Self::Nccl => vec![
                "# NCCL: docs.nvidia.com/deeplearning/nccl/user-guide/docs/env.html".into(),
                "# `=` means exactly this interface; without it, every one whose name begins so.".into(),
                format!("export NCCL_SOCKET_IFNAME=={name}"),
                "# Left to itself it may pick the link-local address, which the peer may not reach.".into(),
                "export NCCL_SOCKET_FAMILY=AF_INET".into(),
                "# Sockets, also where there is InfiniBand or RoCE.".into(),
                "export NCCL_NET=Socket".into(),
                "export NCCL_IB_DISABLE=1".into(),
                "# Several sockets for each connection; the product is 64 at most.".into(),
                "export NCCL_SOCKET_NTHREADS=2".into(),
                "export NCCL_NSOCKS_PERTHREAD=2".into(),
            ],
            Self::Gloo => vec![
                "# Gloo and PyTorch: docs.pytorch.org/docs/stable/distributed.html".into(),
                "# Gloo binds to the first address of the interface that works for it; link-local ones need a zone,".into(),
                "# which MASTER_ADDR does not have.".into(),
                format!("export GLOO_SOCKET_IFNAME={name}"),
                format!("export MASTER_ADDR={}", at.main()),
                "export MASTER_PORT=29500".into(),
                format!("# torchrun --nnodes=2 --node-rank={} --master-addr={} --master-port=29500 …", at.rank(), at.main()),
            ],
            Self::Ucx => vec![
                "# UCX: openucx.readthedocs.io/en/master/faq.html; `ucx_info -f` lists what yours knows".into(),
                format!("export UCX_NET_DEVICES={name}"),
                "# Between the hosts TCP, within each shared memory. With GPUs: tcp,self,sm,cuda_copy,cuda_ipc.".into(),
                "export UCX_TLS=tcp,self,sm".into(),
                "# The address without a zone first.".into(),
                "export UCX_TCP_AF_PRIO=inet,inet6".into(),
            ],
            Self::Mpi => vec![
                "# Open MPI: docs.open-mpi.org/en/v5.0.x/tuning-apps/networking/tcp.html".into(),
                "# It has IPv6 only when it was built with --enable-ipv6; link-local addresses were trouble (ompi #591, #605).".into(),
                "export OMPI_MCA_pml=ob1".into(),
                "# Up to version 4.1 the shared memory is called vader instead of sm.".into(),
                "export OMPI_MCA_btl=tcp,self,sm".into(),
                format!("export OMPI_MCA_btl_tcp_if_include={name}"),
                format!("# mpirun --host {},{} … (its own connections: they follow the addresses of --host)", at.own(), at.peer()),
            ],
            Self::Ray => vec![
                "# Ray: docs.ray.io/en/latest/cluster/cli.html. Ray is told an address, not an interface.".into(),
                match at.rank() {
                    "1" => format!("# ray start --address={}:6379 --node-ip-address={}", at.main(), at.own()),
                    _ => format!("# ray start --head --node-ip-address={} --port=6379", at.own()),
                },
                "# Link-local addresses have a zone, which its HOST:PORT does not take.".into(),
                "# What runs on Ray has networks of its own: see nccl and gloo.".into(),
            ],
            Self::LlamaCpp => vec![
                "# llama.cpp: github.com/ggml-org/llama.cpp/blob/master/tools/rpc/README.md".into(),
                "# Its RPC speaks IPv4 (IPv6: pull request 22350). Nobody is authenticated: listen on this address, not on 0.0.0.0.".into(),
                format!("# here:  rpc-server -H {} -p 50052", at.own()),
                format!("# there: llama-cli --rpc {}:50052 …", at.own()),
            ],
            Self::Libp2p => {
                let link = match at.peer_link {
                    Some(address) => format!("/ip6zone/{name}/ip6/{address}/tcp/4001"),
                    None => format!("/ip6zone/{name}/ip6/fe80::…/tcp/4001"),
                };
                vec![
                    "# libp2p: github.com/multiformats/multiaddr, protocol ip6zone. Not every implementation has it (Go's does).".into(),
                    format!("# dial:   {link}"),
                    format!("# or:     /ip4/{}/tcp/4001", at.peer()),
                    format!("# listen: /ip4/{}/tcp/4001", at.own()),
                ]
            }
        }
    }
}
